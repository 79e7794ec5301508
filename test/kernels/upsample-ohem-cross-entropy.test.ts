import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { gradcheck } from '../helpers/gradcheck.js';

type Tensor = torch.Tensor;
type DType = torch.DType;

const IGNORE = 255;
const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('upsample_ohem_cross_entropy on CUDA: skipped, no GPU here');

type Losses = [sup: Tensor, pseudo: Tensor];

function fused(
  heads: Tensor[],
  labels: Tensor | null,
  pseudo: Tensor | null,
  threshold: number,
  minKept: number,
): Losses {
  const op = torch.ops.m3l!.upsample_ohem_cross_entropy!;
  return op(heads, labels, pseudo, threshold, minKept, IGNORE) as unknown as Losses;
}

/** The same with the full-resolution logits, a sort where the threshold keeps too few. */
function composed(
  heads: Tensor[],
  labels: Tensor | null,
  pseudo: Tensor | null,
  threshold: number,
  minKept: number,
): Losses {
  const size = (labels ?? pseudo)!.shape.slice(1);
  const ohem = (logProbabilities: Tensor) => {
    const isVoid = labels!.eq(IGNORE);
    const losses = torch.nllLoss2d(logProbabilities, labels!, null, 0, IGNORE);
    const p = losses.detach().neg().exp().maskedFill(isVoid, 2);
    const [sorted] = p.flatten().sort();
    const smallest = minKept > 0 ? sorted!.select(0, Math.min(minKept, p.numel()) - 1).item() : 0;
    const kept = p.gt(Math.min(Math.max(threshold, smallest), 1.5)).logicalNot();
    return losses.mul(kept).sum().div(kept.sum().clamp(1));
  };
  const sups: Tensor[] = [];
  const pseudos: Tensor[] = [];
  for (const head of heads) {
    const all = torch.upsampleBilinear2d(head, size, true).logSoftmax(1);
    if (labels) sups.push(ohem(all.narrow(0, 0, labels.shape[0]!)));
    if (pseudo) {
      const sum = torch.nllLoss2d(all, pseudo, null, 2, IGNORE);
      pseudos.push(sum.div(pseudo.ne(IGNORE).sum().clamp(1)));
    }
  }
  const mean = (losses: Tensor[]) =>
    losses.length > 0 ? torch.stack(losses).mean() : torch.zeros([], { dtype: heads[0]!.dtype });
  return [mean(sups), mean(pseudos)];
}

interface Case {
  heads?: number;
  batch?: number;
  labelled?: number;
  classes?: number;
  low: [number, number];
  full: [number, number];
  threshold?: number;
  minKept?: number;
  voidShare?: number;
  scale?: number;
}

function make(
  { heads = 3, batch = 3, labelled = 2, classes = 5, low, full, voidShare = 0.1, scale = 3 }: Case,
  dtype: DType,
  device: string,
) {
  const generator = new torch.Generator().manualSeed(low[0] * 1000 + full[1] + classes);
  const logits = Array.from({ length: heads }, () =>
    torch
      .randn([batch, classes, ...low], { dtype: 'float64', generator })
      .mul(scale)
      .to({ dtype, device })
      .requiresGrad_(),
  );
  const drawn = (count: number) => {
    const isVoid = torch.rand([count, ...full], { generator }).lt(voidShare);
    return torch
      .randint(0, classes, [count, ...full], { dtype: 'int64', generator })
      .maskedFill(isVoid, IGNORE)
      .to({ device });
  };
  return { logits, labels: drawn(labelled), pseudo: drawn(batch) };
}

const cases: [string, Case][] = [
  ['odd sizes', { low: [7, 6], full: [25, 23], minKept: 10 }],
  ['the hardest kept', { low: [7, 6], full: [25, 23], threshold: 0.01, minKept: 500 }],
  ['all kept', { low: [7, 6], full: [25, 23], threshold: 0.01, minKept: 5000 }],
  ['one low pixel', { low: [1, 1], full: [9, 70], classes: 2 }],
  ['one full pixel', { low: [3, 3], full: [1, 1] }],
  ['no upsampling', { heads: 1, low: [20, 40], full: [20, 40], minKept: 0 }],
  ['downsampling', { heads: 1, low: [50, 40], full: [20, 13], threshold: 0.3, minKept: 100 }],
  [
    'many classes and bands',
    {
      heads: 2,
      batch: 2,
      labelled: 1,
      classes: 37,
      low: [33, 33],
      full: [130, 129],
      threshold: 0.05,
      minKept: 17000,
      scale: 6,
    },
  ],
  [
    'a confident network: few are hard',
    { low: [16, 16], full: [64, 65], labelled: 3, minKept: 9000, scale: 30 },
  ],
  ['more columns beside a low pixel than a block has threads', { low: [2, 3], full: [3, 700] }],
  ['all void', { low: [4, 4], full: [15, 16], voidShare: 2, minKept: 10 }],
];

describe.each(devices)('upsample_ohem_cross_entropy on %s', (device) => {
  const close = (dtype: DType) =>
    dtype === 'float64' ? { rtol: 1e-10, atol: 1e-13 } : { rtol: 2e-5, atol: 1e-6 };

  describe.each(['float64', 'float32'] as const)('%s', (dtype) => {
    it.each(cases)('agrees with its composition: %s', (_, shape) => {
      torch.scope(() => {
        const { logits, labels, pseudo } = make(shape, dtype, device);
        const { threshold = 0.7, minKept = 10 } = shape;
        const run = (f: typeof fused) => {
          const [sup, taught] = f(logits, labels, pseudo, threshold, minKept);
          const total = sup.mul(1.3).add(taught, { alpha: 0.7 });
          return { losses: [sup, taught], gradients: torch.grad(total, logits) };
        };
        const [ours, theirs] = [run(fused), run(composed)];
        for (const [i, loss] of ours.losses.entries()) {
          expect(loss.dtype).toBe(dtype);
          expect(loss).toBeCloseToTensor(theirs.losses[i]!, close(dtype));
        }
        for (const [i, gradient] of ours.gradients.entries()) {
          expect(gradient!).toBeCloseToTensor(theirs.gradients[i]!, close(dtype));
        }
        const silent = torch.noGrad(() => fused(logits, labels, pseudo, threshold, minKept));
        expect(silent.map((loss) => loss.item())).toEqual(ours.losses.map((loss) => loss.item()));
      });
    });
  });

  it('takes either loss alone, and only the heads that are trained', () => {
    torch.scope(() => {
      const shape: Case = { low: [5, 9], full: [19, 34], threshold: 0.02, minKept: 300 };
      const { logits, labels, pseudo } = make(shape, 'float64', device);
      const [first, second, third] = logits as [Tensor, Tensor, Tensor];
      const heads = [first, second.detach(), third];
      const check = (given: typeof fused, i: 0 | 1, l: Tensor | null, p: Tensor | null) =>
        torch.grad(given(heads, l, p, 0.02, 300)[i], [first, third]);
      for (const [i, l, p] of [
        [0, labels, null],
        [1, null, pseudo],
        [0, labels, pseudo],
        [1, labels, pseudo],
      ] as const) {
        const ours = check(fused, i, l, p);
        const theirs = check(composed, i, l, p);
        for (const [head, gradient] of ours.entries()) {
          expect(gradient!).toBeCloseToTensor(theirs[head]!, { rtol: 1e-10, atol: 1e-13 });
        }
      }
      const [sup, taught] = fused(heads, labels, null, 0.7, 1);
      expect([sup.requiresGrad, taught.requiresGrad, taught.item()]).toEqual([true, false, 0]);
    });
  });

  it('passes gradcheck', () => {
    torch.scope(() => {
      for (const [threshold, minKept] of [
        [0.7, 1],
        [0.05, 60],
      ] as const) {
        const shape: Case = { heads: 2, classes: 3, low: [3, 4], full: [8, 9], scale: 1 };
        const { logits, labels, pseudo } = make(shape, 'float64', device);
        gradcheck(
          (...heads) => torch.stack(fused(heads, labels, pseudo, threshold, minKept)),
          logits,
        );
      }
    });
  });

  it.each(['bfloat16', 'float16'] as const)('computes %s heads in float32', (dtype) => {
    torch.scope(() => {
      const shape: Case = { low: [8, 8], full: [32, 31], threshold: 0.02, minKept: 400 };
      const { logits, labels, pseudo } = make(shape, dtype, device);
      const wide = logits.map((head) => head.detach().to('float32').requiresGrad_());
      const run = (heads: Tensor[]) => {
        const [sup, taught] = fused(heads, labels, pseudo, 0.02, 400);
        return { sup, gradients: torch.grad(sup.add(taught), heads) };
      };
      const [ours, theirs] = [run(logits), run(wide)];
      expect(ours.sup.dtype).toBe('float32');
      expect(ours.sup.item()).toBe(theirs.sup.item());
      for (const [i, gradient] of ours.gradients.entries()) {
        expect(gradient!.dtype).toBe(dtype);
        expect(gradient!.toArray()).toEqual(theirs.gradients[i]!.to(dtype).toArray());
      }
    });
  });

  it('gives the same numbers every time', () => {
    torch.scope(() => {
      const shape: Case = { low: [33, 32], full: [130, 128], threshold: 0.02, minKept: 20_000 };
      const { logits, labels, pseudo } = make(shape, 'float32', device);
      const run = () => {
        const [sup, taught] = fused(logits, labels, pseudo, 0.02, 20_000);
        return torch.grad(sup.add(taught), logits).map((gradient) => gradient!.toArray());
      };
      expect(run()).toEqual(run());
    });
  });

  it('shows a NaN instead of dropping its pixel', () => {
    torch.scope(() => {
      const { logits, labels, pseudo } = make({ low: [4, 4], full: [9, 9] }, 'float32', device);
      torch.noGrad(() => logits[0]!.select(0, 0).select(0, 0).select(0, 0).fill_(Number.NaN));
      for (const minKept of [1, 400]) {
        const losses = fused(logits, labels, pseudo, 0.01, minKept);
        expect(losses.map((loss) => loss.item())).toEqual([Number.NaN, Number.NaN]);
      }
    });
  });

  it('names itself and what is wrong with its arguments', () => {
    torch.scope(() => {
      const { logits, labels, pseudo } = make({ low: [4, 4], full: [9, 9] }, 'float32', device);
      const refused = (...given: Parameters<typeof fused>) => expect(() => fused(...given));
      const name = 'upsample_ohem_cross_entropy: ';
      refused([], labels, pseudo, 0.7, 1).toThrow(`${name}0 heads`);
      refused(logits, null, null, 0.7, 1).toThrow(`${name}neither`);
      refused(logits, labels.to('int32'), null, 0.7, 1).toThrow(/labels are Int, expected int64/);
      refused(logits, labels.narrow(1, 0, 8), pseudo, 0.7, 1).toThrow(/\[2, 8, 9\].*\[3, 9, 9\]/);
      refused(logits, null, pseudo.narrow(0, 0, 2), 0.7, 1).toThrow(/expected 3 samples/);
      refused(logits, torch.cat([labels, labels]), null, 0.7, 1).toThrow(/at most 3 samples/);
      refused([logits[0]!, logits[1]!.narrow(1, 0, 2)], labels, null, 0.7, 1).toThrow(/the same/);
      refused([logits[0]!.to('int64')], labels, null, 0.7, 1).toThrow(/floating/);
      for (const wrong of [-1, 5, 254, 2 ** 40]) {
        const message = new RegExp(`hold ${wrong}, expected 0 to 4, or 255`);
        // A GPU tells whoever reads the loss.
        const read = (truth: Tensor, taught: Tensor) => {
          const [sup, pseudoLoss] = fused(logits, truth, taught, 0.7, 1);
          expect(Number.isFinite(sup.item()) && Number.isFinite(pseudoLoss.item())).toBe(false);
          torch.ops.m3l!.upsample_ohem_cross_entropy_check!(sup);
        };
        const bad = torch.fullLike(labels, wrong);
        expect(() => read(bad, pseudo)).toThrow(message);
        expect(() => read(labels, torch.fullLike(pseudo, wrong))).toThrow(message);
        // Said once, and nothing is lost.
        const [sup] = fused(logits, labels, pseudo, 0.7, 1);
        expect(Number.isFinite(sup.item())).toBe(true);
        torch.ops.m3l!.upsample_ohem_cross_entropy_check!(sup);
      }
    });
  });

  it('has a derivative for each head once', () => {
    torch.scope(() => {
      const { logits, labels } = make({ low: [4, 4], full: [9, 9] }, 'float32', device);
      const forward = torch.ops.m3l!.upsample_ohem_cross_entropy_forward!;
      for (const differentiable of [Array.from({ length: 17 }, () => 1), [1, 0], [0, 0]]) {
        const call = () => forward(logits, labels, null, 0.7, 1, IGNORE, differentiable);
        expect(call).toThrow(/differentiable is \[.*\], expected each head at most once/);
      }
    });
  });

  it('refuses to be differentiated twice', () => {
    torch.scope(() => {
      const { logits, labels } = make({ low: [4, 4], full: [9, 9] }, 'float32', device);
      const [sup] = fused(logits, labels, null, 0.7, 1);
      expect(() => torch.grad(sup, logits, { createGraph: true })).toThrow(/differentiated twice/);
    });
  });
});
