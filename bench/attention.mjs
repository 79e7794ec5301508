#!/usr/bin/env node
// node bench/attention.mjs [THREADS]: milliseconds of attention by libtorch and by `m3l::attention`, over
// the shapes of one pair at 540² (MiT-B2) and of the six pairs of a step at 128² (MiT-B0).
import { torch } from '../dist/index.js';
import { sideBySide } from './statistics.mjs';

/** [batch, heads, queries, keys, channels] of the four stages. */
const SHAPES = [
  [2, 1, 18225, 256, 64],
  [2, 2, 4624, 289, 64],
  [2, 5, 1156, 289, 64],
  [2, 8, 289, 289, 64],
  [12, 1, 1024, 16, 32],
  [12, 2, 256, 16, 32],
  [12, 5, 64, 16, 32],
  [12, 8, 16, 16, 32],
];
const ROUNDS = 7;
/** Floating-point operations timed at once. */
const WORK = 4e8;

torch.setNumThreads(Number(process.argv[2] ?? 2));
for (const dtype of ['float32', 'bfloat16']) {
  for (const shape of SHAPES) {
    const [batch, heads, queries, keys, channels] = shape;
    torch.scope(() => {
      const q = torch.randn([batch, queries, heads, channels]).to(dtype).transpose(1, 2);
      const kv = torch.randn([batch, keys, 2, heads, channels]).to(dtype).permute([2, 0, 3, 1, 4]);
      const [k, v] = kv.unbind(0);
      const repeats = Math.max(
        1,
        Math.round(WORK / (4 * batch * heads * queries * keys * channels)),
      );
      const { libtorch, ours } = sideBySide(
        { rounds: ROUNDS, repeats },
        {
          libtorch: () => torch.scope(() => void torch.scaledDotProductAttention(q, k, v)),
          ours: () => torch.scope(() => void torch.ops.m3l.attention(q, k, v, null)),
        },
      );
      const name = `${dtype} ${shape.join(' × ')}`.padEnd(36);
      const figures = [libtorch, ours].map((ms) => ms.toFixed(3).padStart(8));
      console.log(
        `${name} libtorch ${figures[0]}   ours ${figures[1]}   ratio ${(ours / libtorch).toFixed(2)}`,
      );
    });
  }
}
