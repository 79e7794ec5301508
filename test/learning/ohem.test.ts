import { torch } from 'm3l';
import { ohemCrossEntropy } from 'm3l/learning';
import { describe, expect, it } from 'vitest';
import { shared } from '../helpers/shared.js';

const IGNORE = 255;
const golden = shared('golden/ohem.safetensors');

/** The loss pixel by pixel, with a sort: as m3l.md section 5 words it. */
function reference(
  logits: number[][],
  labels: number[],
  options: { threshold: number; minKept: number },
): number {
  const losses = labels.flatMap((label, pixel) => {
    if (label === IGNORE) return [];
    const scores = logits.map((plane) => plane[pixel]!);
    const sum = scores.reduce((total, score) => total + Math.exp(score), 0);
    return [Math.log(sum) - scores[label]!];
  });
  const probabilities = losses.map((loss) => Math.exp(-loss)).sort((a, b) => a - b);
  const smallest = options.minKept > 0 ? (probabilities[options.minKept - 1] ?? 1) : 0;
  const cut = Math.max(options.threshold, smallest) + 1e-9;
  const kept = losses.filter((loss) => Math.exp(-loss) <= cut);
  return kept.length === 0 ? 0 : kept.reduce((a, b) => a + b, 0) / kept.length;
}

function randomCase(classes: number, pixels: number, voidShare: number, seed: number) {
  const generator = new torch.Generator().manualSeed(seed);
  const logits = torch.randn([1, classes, 1, pixels], { dtype: 'float64', generator }).mul(3);
  const drawn = torch.randint(0, classes, [1, 1, pixels], { dtype: 'int64', generator });
  const isVoid = torch.rand([1, 1, pixels], { generator }).lt(voidShare);
  return { logits, labels: drawn.maskedFill(isVoid, IGNORE) };
}

describe('ohemCrossEntropy', () => {
  it.each([
    { name: 'the threshold keeps enough', threshold: 0.7, minKept: 5, voidShare: 0.1 },
    { name: 'the minKept hardest are kept', threshold: 0.01, minKept: 60, voidShare: 0.1 },
    { name: 'exactly all valid pixels are asked for', threshold: 0.1, minKept: 100, voidShare: 0 },
    { name: 'fewer valid pixels than minKept', threshold: 0.1, minKept: 90, voidShare: 0.5 },
    { name: 'more asked for than there are pixels', threshold: 0.1, minKept: 1000, voidShare: 0.2 },
    { name: 'no minKept', threshold: 0.3, minKept: 0, voidShare: 0.2 },
  ])('$name', ({ threshold, minKept, voidShare }) => {
    torch.scope(() => {
      const { logits, labels } = randomCase(4, 100, voidShare, minKept + 1);
      const planes = (logits.toArray() as number[][][][])[0]!.map((plane) => plane[0]!);
      const flat = (labels.toArray() as number[][][])[0]![0]!;
      const loss = ohemCrossEntropy(logits, labels, { threshold, minKept });
      expect(loss.item()).toBeCloseTo(reference(planes, flat, { threshold, minKept }), 10);
    });
  });

  it('is 0 with zero gradients where all is void', () => {
    torch.scope(() => {
      const logits = torch.randn([2, 3, 4, 4]).requiresGrad_();
      const labels = torch.full([2, 4, 4], IGNORE, { dtype: 'int64' });
      const loss = ohemCrossEntropy(logits, labels, { threshold: 0.7, minKept: 8 });
      loss.backward();
      expect(loss.item()).toBe(0);
      expect(logits.grad!.abs().max().item()).toBe(0);
    });
  });

  it('shows a NaN instead of dropping its pixel', () => {
    torch.scope(() => {
      const { logits, labels } = randomCase(3, 20, 0, 1);
      const spoilt = logits.maskedFill(logits.eq(logits.max()), Number.NaN);
      expect(ohemCrossEntropy(spoilt, labels, { threshold: 0.7, minKept: 2 }).item()).toBeNaN();
    });
  });

  it('computes in float32 at least', () => {
    torch.scope(() => {
      const { logits, labels } = randomCase(3, 50, 0.1, 2);
      const half = logits.to('bfloat16');
      const options = { threshold: 0.7, minKept: 5 };
      const loss = ohemCrossEntropy(half, labels, options);
      expect(loss.dtype).toBe('float32');
      expect(loss.item()).toBeCloseTo(ohemCrossEntropy(half.to('float32'), labels, options).item());
    });
  });

  it('refuses labels of another size, naming both', () => {
    torch.scope(() => {
      const labels = torch.zeros([1, 8, 8], { dtype: 'int64' });
      const options = { threshold: 0.7, minKept: 1 };
      expect(() => ohemCrossEntropy(torch.zeros([1, 3, 4, 4]), labels, options)).toThrow(
        /\[1,3,4,4\].*\[1,8,8\]/,
      );
    });
  });

  it.skipIf(golden === null)("agrees with the authors'", () => {
    torch.scope(() => {
      const { tensors, metadata } = torch.loadSafetensors(golden!);
      for (const id of Object.keys(metadata).filter((key) => /^\d+$/.test(key))) {
        const { thresh, min_kept } = JSON.parse(metadata[id]!);
        const logits = tensors[`${id}.logits`]!.clone().requiresGrad_();
        const options = { threshold: thresh, minKept: min_kept };
        const loss = ohemCrossEntropy(logits, tensors[`${id}.labels`]!, options);
        loss.backward();
        const expected = tensors[`${id}.loss`]!.item();
        expect(loss.item()).toBeCloseTo(Number.isNaN(expected) ? 0 : expected, 5);
        const gradient = tensors[`${id}.grad`];
        if (gradient) expect(logits.grad!.sub(gradient).abs().max().item()).toBeLessThan(1e-7);
      }
    });
  });
});
