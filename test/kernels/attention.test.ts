import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { gradcheck } from '../helpers/gradcheck.js';

const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('attention on CUDA: skipped, no GPU here');

type Tensor = torch.Tensor;
const attention = (q: Tensor, k: Tensor, v: Tensor, bias: Tensor | null = null) =>
  torch.ops.m3l!.attention!(q, k, v, bias) as Tensor;

/** The definition. */
function composed(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | null = null): Tensor {
  const scores = q.matmul(k.transpose(2, 3)).mul(q.shape[3]! ** -0.5);
  return (bias ? scores.add(bias.unsqueeze(2)) : scores).softmax(-1).matmul(v);
}

/** [batch, heads, queries, keys, channels]: whole tiles, parts of them, single rows and keys. */
const SHAPES = [
  [2, 1, 64, 32, 32],
  [1, 2, 37, 289, 64],
  [2, 5, 33, 17, 64],
  [3, 1, 9, 16, 32],
  [1, 3, 1, 1, 8],
  [1, 1, 100, 45, 40],
  [2, 8, 50, 50, 12],
  [1, 1, 5, 2049, 16],
].map((shape) => [shape]);

/** As the models have them: channels of all heads side by side. */
function given([batch, heads, queries, keys, channels]: readonly number[], device: string) {
  const q = torch.randn([batch, queries, heads, channels], { device }).transpose(1, 2);
  const kv = torch.randn([batch, keys, 2, heads, channels], { device }).permute([2, 0, 3, 1, 4]);
  return [q, kv.select(0, 0), kv.select(0, 1)] as const;
}

type Three = readonly [query: Tensor, key: Tensor, value: Tensor];
const each = ([q, k, v]: Three, f: (x: Tensor) => Tensor): Three => [f(q), f(k), f(v)];
const double = (x: Tensor) => x.to('float64');

describe.each(devices)('attention on %s', (device) => {
  it.each(SHAPES)('is its definition in float64, with its gradients: %j', (shape) => {
    torch.scope(() => {
      const tensors = given(shape, device);
      const seed = torch.randn([...tensors[0].shape], { device });
      const run = (dtype: 'float32' | 'float64', f: typeof attention) => {
        const inputs = each(tensors, (x) => x.to(dtype).detach().requiresGrad_());
        const y = f(...inputs);
        return [y, ...torch.grad([y], inputs, { gradOutputs: [seed.to(dtype)] })];
      };
      const wanted = run('float64', composed);
      // Of a single key the softmax is constant: the gradients of query and key cancel out, up to the
      // rounding of terms of about 1.
      const least = shape[3] === 1 ? 1 : 1e-3;
      run('float32', attention).forEach((x, i) => {
        const truth = wanted[i]!;
        const error = x!.to('float64').sub(truth).abs().max().item();
        expect(error).toBeLessThan(5e-6 * Math.max(truth.abs().max().item(), least));
      });
    });
  });

  it.each(SHAPES)('adds a bias to every query, without gradients: %j', (shape) => {
    torch.scope(() => {
      const [q, k, v] = given(shape, device);
      const bias = torch.randn([shape[0], shape[1], shape[3]], { device }).mul(3);
      const wanted = composed(...each([q, k, v], double), double(bias)).to('float32');
      expect(attention(q, k, v, bias)).toBeCloseToTensor(wanted, { atol: 5e-6, rtol: 1e-5 });
    });
  });

  it.each(SHAPES)('computes in bfloat16 up to its roundings: %j', (shape) => {
    torch.scope(() => {
      const narrow = each(given(shape, device), (x) => x.to('bfloat16'));
      const bias = torch.randn([shape[0], shape[1], shape[3]], { device }).to('bfloat16');
      for (const added of [null, bias]) {
        const truth = composed(...each(narrow, double), added && double(added));
        const found = attention(...narrow, added);
        expect(found.dtype).toBe('bfloat16');
        // The result keeps 8 bits, and so do the shares that it is summed with.
        const error = double(found).sub(truth).abs().max().item();
        expect(error).toBeLessThan(0.01 * truth.abs().max().item());
      }
    });
  });

  it('has the right gradients in float64', () => {
    torch.scope(() => {
      const make = (tokens: number) =>
        torch.randn([2, 2, tokens, 3], { dtype: 'float64', device }).requiresGrad_();
      gradcheck((q, k, v) => attention(q, k, v), [make(4), make(5), make(5)]);
    });
  });

  it('survives scores far apart, and lets a NaN of one query reach that one alone', () => {
    torch.scope(() => {
      // Whole numbers, whose scores float32 holds exactly: where two are equal, they are so everywhere.
      const [q, k, v] = each(given([1, 1, 20, 40, 16], device), (x) => x.round());
      const large = attention(q.mul(1e4), k, v);
      const wanted = composed(...each([q.mul(1e4), k, v], double));
      expect(large).toBeCloseToTensor(wanted.to('float32'), { atol: 1e-4 });
      const broken = q.clone();
      broken.select(2, 3).fill_(Number.NaN);
      const rows = attention(broken, k, v).isnan().any(3).flatten().toArray();
      expect(rows).toEqual(Array.from({ length: 20 }, (_, row) => Number(row === 3)));
    });
  });

  it('says the same whatever the number of threads', () => {
    torch.scope(() => {
      const [q, k, v] = given([2, 2, 700, 77, 32], device);
      const threads = torch.getNumThreads();
      try {
        torch.setNumThreads(1);
        const alone = attention(q, k, v);
        torch.setNumThreads(2);
        expect(torch.equal(attention(q, k, v), alone)).toBe(true);
      } finally {
        torch.setNumThreads(threads);
      }
    });
  });

  it('takes what is laid out otherwise, empty, or of half precision', () => {
    torch.scope(() => {
      const [q, k, v] = given([2, 2, 9, 7, 16], device);
      const turned = (x: Tensor) => x.transpose(2, 3).contiguous().transpose(2, 3);
      const wanted = composed(q, k, v);
      expect(attention(turned(q), turned(k), turned(v))).toBeCloseToTensor(wanted, { atol: 1e-5 });
      expect(attention(q.narrow(2, 0, 0), k, v).shape).toEqual([2, 2, 0, 16]);
      const half = (x: Tensor) => x.to('bfloat16');
      const narrow = attention(half(q), half(k), half(v));
      expect(narrow.dtype).toBe('bfloat16');
      expect(narrow.to('float32')).toBeCloseToTensor(wanted, { atol: 0.05 });
    });
  });

  it('names the shapes that do not fit', () => {
    torch.scope(() => {
      const [q, k, v] = given([2, 2, 9, 7, 16], device);
      expect(() => attention(q.select(0, 0), k, v)).toThrow(/expected \[batch, heads, tokens/);
      expect(() => attention(q, k, v.narrow(2, 0, 6))).toThrow(/\[2, 2, 6, 16\]/);
      expect(() => attention(q, k, v, torch.zeros([2, 2, 6], { device }))).toThrow(/key_bias is/);
    });
  });
});
