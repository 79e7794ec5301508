import { torch } from 'm3l';
import { expect, test } from 'vitest';

type Tensor = torch.Tensor;

import { onnxModel, onnxOperators } from 'm3l/onnx';
import { onnxruntime } from '../helpers/onnxruntime.js';
import { cases } from './cases.js';

const runtime = onnxruntime();

/** Made anew for each test, which disposes of them: the tests count live tensors. */
function examples(): { x: Tensor; y: Tensor } {
  torch.manualSeed(3);
  return { x: torch.randn([2, 6, 8, 8]), y: torch.rand([2, 6, 8, 8]).add(0.5) };
}

const listed = (made: Tensor | readonly Tensor[]) => (made instanceof torch.Tensor ? [made] : made);

test.skipIf(runtime === null).each(Object.keys(torch.scope(cases)))(
  'onnxruntime gives what the operators of %s give',
  async (name) => {
    await torch.scope(async () => {
      const inputs = examples();
      const one = cases()[name]!;
      const { bytes, summary } = onnxModel(({ x, y }) => listed(one(x, y)), inputs);
      const expected = torch.noGrad(() => listed(one(inputs.x, inputs.y)));
      const session = await runtime!.InferenceSession.create(bytes, { intraOpNumThreads: 1 });
      const feeds = Object.entries(inputs).map(([key, tensor]) => [
        key,
        new runtime!.Tensor('float32', tensor.toTypedArray(), tensor.shape),
      ]);
      const found = await session.run(Object.fromEntries(feeds));
      for (const [i, output] of Object.keys(summary.outputs).entries()) {
        const { data, dims } = found[output]!;
        expect(dims, output).toEqual(expected[i]!.shape);
        const actual = torch.tensor(data as Float32Array, { dtype: 'float32' }).reshape(dims);
        expect(actual, `${name}, output ${i}`).toBeCloseToTensor(expected[i]!, {
          rtol: 1e-4,
          atol: 1e-4,
        });
      }
    });
  },
);

test('every operator that can be written is tried above', () => {
  const tried = torch.scope(() => {
    const { x, y } = examples();
    return new Set(
      Object.values(cases()).flatMap((one) => {
        const { summary } = onnxModel((given) => listed(one(given.x, given.y)), { x, y });
        return Object.keys(summary.operators);
      }),
    );
  });
  const models = ['modality_norm', 'fuse_residual_norm', 'linear_fuse', 'token_dwconv_gelu'];
  const ofModels = [...models, 'mix_ffn', 'upsample_sum', 'mask_tokens'].map(
    (each) => `m3l::${each}`,
  );
  expect(onnxOperators().filter((name) => !tried.has(name) && !ofModels.includes(name))).toEqual(
    [],
  );
});
