import { torch } from 'm3l';
import type { Batch } from 'm3l/data';
import {
  createFramework,
  FRAMEWORKS,
  type FrameworkName,
  type LearningOptionsInput,
} from 'm3l/learning';
import { createModel } from 'm3l/models';
import { describe, expect, it } from 'vitest';

const SIZE = 32;
const modalities = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
] as const;

function model(options: { maskToken?: boolean; dropout?: number; dropPath?: number } = {}) {
  torch.manualSeed(5);
  return createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3, ...options });
}

function batch(seed: number, { labels = true, count = 2 } = {}): Batch {
  const generator = new torch.Generator().manualSeed(seed);
  return {
    names: Array.from({ length: count }, (_, i) => `${seed}-${i}`),
    modalities: [
      torch.randn([count, 3, SIZE, SIZE], { generator }),
      torch.rand([count, 3, SIZE, SIZE], { generator }),
    ],
    labels: labels ? torch.randint(0, 3, [count, SIZE, SIZE], { dtype: 'int64', generator }) : null,
    valid: null,
  };
}

const labelled = () => batch(1);
const unlabelled = () => batch(2, { labels: false, count: 3 });

function losses(
  name: FrameworkName,
  options: LearningOptionsInput,
  data: { labelled: Batch; unlabelled?: Batch },
  modelOptions: Parameters<typeof model>[0] = { dropout: 0, dropPath: 0 },
) {
  using student = model(modelOptions);
  using teacher = model(modelOptions);
  const framework = createFramework(name, { student, teacher, modalities, options, seed: 3 });
  const draw = framework.draw(data, 0);
  const { total, parts } = framework.losses(data, draw);
  const values = Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, part.item()]));
  total.backward();
  const gradient = new Map(student.namedParameters()).get('decoder.linear_pred.weight')!.grad!;
  return { total: total.item(), values, masked: draw.masked, gradient: gradient.norm().item() };
}

describe.each(FRAMEWORKS)('%s', (name) => {
  it('gives a finite loss made of its parts, with a gradient', () => {
    torch.scope(() => {
      const data = { labelled: labelled(), unlabelled: unlabelled() };
      const { total, values, masked, gradient } = losses(name, { lambda: 0.5 }, data);
      const { sup, pseudo = 0 } = values;
      expect(total).toBeCloseTo(sup! + 0.5 * pseudo, 5);
      expect(gradient).toBeGreaterThan(0);
      const counts: Record<FrameworkName, number> = {
        supervised: 2,
        'supervised-modality-dropout': 2,
        'mean-teacher': 5,
        'mean-teacher-modality-dropout': 7,
        m3l: 7,
      };
      expect(masked).toHaveLength(counts[name]);
      if (!name.endsWith('dropout') && name !== 'm3l')
        expect(new Set(masked)).toEqual(new Set([-1]));
    });
  });

  it('also learns with a model that has no mask token, by filling', () => {
    torch.scope(() => {
      const data = { labelled: labelled(), unlabelled: unlabelled() };
      for (const fill of ['zeros', 'noise', 'mean'] as const) {
        const { total } = losses(name, { fill }, data, { maskToken: false });
        expect(Number.isFinite(total)).toBe(true);
      }
    });
  });

  it('says what it misses', () => {
    torch.scope(() => {
      using student = model();
      const make = () => createFramework(name, { student, modalities });
      if (name.startsWith('supervised')) {
        const framework = make();
        const bare = { labelled: batch(1, { labels: false }) };
        expect(() => framework.losses(bare, framework.draw(bare, 0))).toThrow(/no labels/);
      } else {
        expect(make).toThrow(/no teacher/);
        using teacher = model();
        const framework = createFramework(name, { student, teacher, modalities });
        expect(() => framework.draw({ labelled: labelled() }, 0)).toThrow(/unlabelled/);
      }
    });
  });
});

describe('m3l', () => {
  it('masks the second labelled copy and the unlabelled images, never the first copy', () => {
    torch.scope(() => {
      const data = { labelled: labelled(), unlabelled: batch(2, { labels: false, count: 30 }) };
      const { masked } = losses('m3l', {}, data);
      expect(masked.slice(0, 2)).toEqual([-1, -1]);
      expect(new Set(masked.slice(2))).toEqual(new Set([-1, 0, 1]));
    });
  });

  it('gives the same whether the teacher sees the labelled images once or twice', () => {
    torch.scope(() => {
      const data = { labelled: labelled(), unlabelled: unlabelled() };
      const report = { reportTeacherLoss: true };
      const once = losses('m3l', { ...report, teacherMode: 'eval' }, data);
      const twice = losses('m3l', { ...report, teacherMode: 'train' }, data);
      expect(once.masked).toEqual(twice.masked);
      for (const part of ['sup', 'pseudo', 'teacherSup']) {
        expect(once.values[part]).toBeCloseTo(twice.values[part]!, 5);
      }
      expect(once.gradient).toBeCloseTo(twice.gradient, 4);
      // The teacher of iteration 0 is the student, and sees everything.
      expect(losses('supervised', {}, data).values.sup).toBeGreaterThan(0);
    });
  });

  it('skips padding in the pseudo loss unless told otherwise', () => {
    torch.scope(() => {
      const padded = (): Batch => ({
        ...unlabelled(),
        valid: torch.zeros([3, SIZE, SIZE], { dtype: 'bool' }),
      });
      const nowhere = (): Batch => ({
        ...labelled(),
        valid: torch.zeros([2, SIZE, SIZE], { dtype: 'bool' }),
      });
      const data = { labelled: nowhere(), unlabelled: padded() };
      expect(losses('m3l', {}, data).values.pseudo).toBe(0);
      expect(losses('m3l', { pseudoOnPadding: true }, data).values.pseudo).toBeGreaterThan(0);
      const sure = { labelled: labelled(), unlabelled: unlabelled() };
      expect(losses('m3l', { confidenceThreshold: 1.1 }, sure).values.pseudo).toBe(0);
    });
  });

  it('survives a batch that is void altogether', () => {
    torch.scope(() => {
      const isVoid = {
        ...labelled(),
        labels: torch.full([2, SIZE, SIZE], 255, { dtype: 'int64' }),
      };
      const { values, total } = losses('m3l', {}, { labelled: isVoid, unlabelled: unlabelled() });
      expect(values.sup).toBe(0);
      expect(total).toBeCloseTo(values.pseudo!, 6);
    });
  });
});

describe('createFramework', () => {
  it('refuses an unknown name and a wrong number of modalities', () => {
    using student = model();
    const wrong = 'm4l' as FrameworkName;
    expect(() => createFramework(wrong, { student, modalities })).toThrow(/'m4l'.*mean-teacher/);
    const three = [...modalities, { name: 'thermal', kind: 'depth' } as const];
    expect(() => createFramework('supervised', { student, modalities: three })).toThrow(/takes 2/);
  });
});
