import { torch } from 'm3l';
import type { Batch } from 'm3l/data';
import {
  createFramework,
  type FrameworkName,
  frameworkNamed,
  frameworkNames,
  type LearningOptionsInput,
} from 'm3l/learning';
import { createModel, type SegmentationModel } from 'm3l/models';
import { describe, expect, it } from 'vitest';

const SIZE = 32;
const modalities = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
] as const;

function model(options: { maskToken?: boolean; dropout?: number; dropPath?: number } = {}) {
  torch.manualSeed(5);
  // Not by evidence, which what a forward pass has seen changes for the next.
  const voting = { ensemble: 'present', ...options } as const;
  return createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3, ...voting });
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

/** The step alone: nothing that follows the teacher, and the student sees what the teacher does. */
const PLAIN = {
  confidenceThreshold: null,
  distributionAlignment: 0,
  lambdaFollowsTeacher: false,
  cutMix: 0,
  colourJitter: 0,
  absentHeadsLearn: true,
} as const;

function losses(
  name: FrameworkName,
  options: LearningOptionsInput,
  data: { labelled: Batch; unlabelled?: Batch },
  modelOptions: Parameters<typeof model>[0] = { dropout: 0, dropPath: 0 },
  change: (model: SegmentationModel) => void = () => {},
) {
  const networks = () => {
    const made = model(modelOptions);
    change(made);
    return made;
  };
  const framework = createFramework(name, {
    networks,
    modalities,
    options: { ...PLAIN, ...options },
    seed: 3,
  });
  const student = framework.networks[framework.trainable[0]!]!;
  const draw = framework.draw(data, 0);
  const { total, parts } = framework.losses(data, draw);
  const values = Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, part.item()]));
  total.backward();
  const gradient = new Map(student.namedParameters()).get('decoder.linear_pred.weight')!.grad!;
  const { masked, teacherMasked } = draw;
  const found = { total: total.item(), values, masked, teacherMasked };
  const norm = gradient.norm().item();
  for (const network of Object.values(framework.networks)) network.dispose();
  return { ...found, gradient: norm };
}

it.each([true, false])(
  'a lost modality does not vote in training (mask token: %s)',
  (maskToken) => {
    torch.scope(() => {
      const gradientOfAlpha = (lost: number) => {
        const framework = createFramework('supervised-modality-dropout', {
          networks: () => model({ maskToken }),
          modalities,
          masks: (_, count) => new Array<number>(count).fill(lost),
        });
        const data = { labelled: labelled() };
        framework.losses(data, framework.draw(data, 0)).total.backward();
        const { student } = framework.networks;
        const gradient = new Map(student!.namedParameters()).get('alpha')!.grad!.clone();
        student!.dispose();
        return gradient.abs().max().item();
      };
      expect(gradientOfAlpha(-1)).toBeGreaterThan(0);
      // One head alone has all the weight, whatever its α.
      expect(gradientOfAlpha(0)).toBe(0);
    });
  },
);

describe.each(frameworkNames)('%s', (name) => {
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
        cps: 5,
      };
      expect(masked).toHaveLength(counts[name]);
      if (!frameworkNamed(name).masksModalities) expect(new Set(masked)).toEqual(new Set([-1]));
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

  it('adds the penalty of the model to what it reports as supervised', () => {
    torch.scope(() => {
      const data = { labelled: labelled(), unlabelled: unlabelled() };
      const options = { reportTeacherLoss: true };
      const plain = losses(name, options, data);
      const penalised = losses(name, options, data, undefined, (network) => {
        const forward = network.forward.bind(network);
        network.forward = (...given) => ({ ...forward(...given), penalty: torch.full([], 0.25) });
      });
      // One of each network that learns.
      const all = 0.25 * frameworkNamed(name).trainable.length;
      expect(penalised.total).toBeCloseTo(plain.total + all, 4);
      const added = { sup: all, teacherSup: 0.25, sup1: 0.25, sup2: 0.25, pseudo: 0 };
      for (const [part, value] of Object.entries(plain.values)) {
        expect(penalised.values[part], part).toBeCloseTo(value + added[part as 'sup'], 5);
      }
    });
  });

  it('says what it misses', () => {
    torch.scope(() => {
      const { networks, needsUnlabelled } = frameworkNamed(name);
      const make = (given: readonly string[]) => {
        const made = Object.fromEntries(given.map((network) => [network, model()]));
        try {
          return createFramework(name, { networks: made, modalities });
        } finally {
          if (given !== networks) for (const each of Object.values(made)) each.dispose();
        }
      };
      expect(() => make(['other'])).toThrow(
        `was given the networks other: expected ${networks.join(', ')}, models`,
      );
      const framework = make(networks);
      if (needsUnlabelled) {
        expect(() => framework.draw({ labelled: labelled() }, 0)).toThrow(/unlabelled/);
      }
      const data = { labelled: batch(1, { labels: false }), unlabelled: unlabelled() };
      expect(() => framework.losses(data, framework.draw(data, 0))).toThrow(/no labels/);
      for (const network of Object.values(framework.networks)) network.dispose();
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

describe('mean-teacher-modality-dropout', () => {
  it('masks the teacher by draws of its own', () => {
    torch.scope(() => {
      const data = { labelled: labelled(), unlabelled: batch(2, { labels: false, count: 30 }) };
      const { masked, teacherMasked } = losses('mean-teacher-modality-dropout', {}, data);
      expect(teacherMasked).toHaveLength(masked.length);
      expect(teacherMasked!.slice(0, 2)).toEqual([-1, -1]);
      expect(new Set(teacherMasked!.slice(2))).toEqual(new Set([-1, 0, 1]));
      expect(teacherMasked).not.toEqual(masked);
    });
  });

  it('labels with what the teacher sees', () => {
    torch.scope(() => {
      using student = model();
      using teacher = model();
      const data = { labelled: labelled(), unlabelled: unlabelled() };
      const pseudo = (lost: number) => {
        const framework = createFramework('mean-teacher-modality-dropout', {
          networks: { student, teacher },
          modalities,
          masks: (_, count) => new Array(count).fill(-1),
          teacherMasks: (_, count) => new Array(count).fill(lost),
        });
        torch.manualSeed(1);
        return framework.losses(data, framework.draw(data, 0)).parts.pseudo!.item();
      };
      expect(pseudo(-1)).toBe(pseudo(-1));
      expect(pseudo(0)).not.toBe(pseudo(-1));
    });
  });
});

describe('createFramework', () => {
  it('refuses an unknown name, a wrong number of modalities, one model as two networks', () => {
    using student = model();
    const networks = { student };
    const wrong = 'm4l' as FrameworkName;
    expect(() => createFramework(wrong, { networks, modalities })).toThrow(/'m4l'.*mean-teacher/);
    const three = [...modalities, { name: 'thermal', kind: 'depth' } as const];
    expect(() => createFramework('supervised', { networks, modalities: three })).toThrow(/takes 2/);
    const twice = { student, teacher: student };
    expect(() => createFramework('m3l', { networks: twice, modalities })).toThrow(
      /one model as all of student, teacher/,
    );
  });

  it.each(frameworkNames)('%s with one modality: refused where it masks, with the mend', (name) => {
    using student = createModel({ name: 'segformer', backbone: 'mit-b0', numClasses: 3 });
    using teacher = createModel({ name: 'segformer', backbone: 'mit-b0', numClasses: 3 });
    const { networks: needed, masksModalities } = frameworkNamed(name);
    const made = [student, teacher];
    const networks = Object.fromEntries(needed.map((each, index) => [each, made[index]!]));
    const make = () => createFramework(name, { networks, modalities: modalities.slice(0, 1) });
    if (masksModalities) {
      expect(make).toThrow(/masks modalities, and there is one \(rgb\).*supervised, mean-teacher/);
    } else {
      expect(make).not.toThrow();
    }
  });
});
