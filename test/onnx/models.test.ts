import { nn, torch } from 'm3l';
import { createModel, type ModelOptions, models } from 'm3l/models';
import { onnxModel, saveOnnx } from 'm3l/onnx';
import { expect, test } from 'vitest';
import { onnxruntime } from '../helpers/onnxruntime.js';

type Tensor = torch.Tensor;
const runtime = onnxruntime();

/** Runs a model's bytes in onnxruntime and compares each output. */
async function expectSame(
  bytes: Uint8Array,
  inputs: Record<string, Tensor>,
  expected: Record<string, Tensor>,
): Promise<void> {
  const session = await runtime!.InferenceSession.create(bytes, { intraOpNumThreads: 1 });
  expect([...session.inputNames]).toEqual(Object.keys(inputs));
  const feeds = Object.entries(inputs).map(([key, tensor]) => [
    key,
    new runtime!.Tensor('float32', tensor.toTypedArray(), tensor.shape),
  ]);
  const found = await session.run(Object.fromEntries(feeds));
  for (const [name, wanted] of Object.entries(expected)) {
    const actual = torch.tensor(found[name]!.data, { dtype: 'float32' }).reshape(wanted.shape);
    const scale = wanted.abs().max().item() as number;
    expect(actual.div(scale), name).toBeCloseToTensor(wanted.div(scale), { rtol: 0, atol: 1e-5 });
  }
}

const images = () => ({
  rgb: torch.randn([2, 3, 64, 96]),
  depth: torch.randn([2, 3, 64, 96]),
});

test.skipIf(runtime === null)('linear fusion, with both modalities and with one', () =>
  torch.scope(async () => {
    const model = createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 5 }).eval();
    const { rgb, depth } = images();
    const names = ['logits_rgb', 'logits_depth', 'logits'];
    const all = ({ rgb, depth }: { rgb: Tensor; depth: Tensor }) => {
      const { heads, ensemble } = model.forward([rgb, depth]);
      return [...heads, ensemble];
    };
    const both = onnxModel(all, { rgb, depth }, { model, outputs: names });
    const expected = torch.noGrad(() => all({ rgb, depth }));
    await expectSame(
      both.bytes,
      { rgb, depth },
      Object.fromEntries(names.map((name, i) => [name, expected[i]!])),
    );
    const alone = ({ rgb }: { rgb: Tensor }) => [model.forward([rgb, null]).ensemble];
    const one = onnxModel(alone, { rgb }, { model, outputs: ['logits'] });
    await expectSame(one.bytes, { rgb }, { logits: torch.noGrad(() => alone({ rgb }))[0]! });
  }),
);

test.skipIf(runtime === null).each(models.map(({ name }) => name))('%s', (name) =>
  torch.scope(async () => {
    const { modalities } = models.find((each) => each.name === name)!;
    const isResNet = ['channel-exchange', 'refinenet', 'deeplabv3plus'].includes(name);
    const count = Math.max(1, modalities.least);
    const model = createModel({
      name,
      backbone: isResNet ? 'resnet18' : 'mit-b0',
      numClasses: 5,
      modalities: count,
    } as ModelOptions).eval();
    const inputs = Object.fromEntries(
      Array.from({ length: count }, (_, m) => [`in${m}`, torch.randn([1, 3, 64, 64])]),
    );
    const run = (given: Record<string, Tensor>) => [model.forward(Object.values(given)).ensemble];
    const { bytes } = onnxModel(run, inputs, { model, outputs: ['logits'] });
    await expectSame(bytes, inputs, { logits: torch.noGrad(() => run(inputs))[0]! });
  }),
);

test.skipIf(runtime === null)('a network of nn', () =>
  torch.scope(async () => {
    const model = new nn.Sequential(
      new nn.Conv2d(3, 8, 3, { stride: 2, padding: 1 }),
      new nn.BatchNorm2d(8),
      new nn.ReLU(),
      new nn.AdaptiveAvgPool2d(4),
      new nn.Flatten(),
      new nn.Linear(128, 10),
      new nn.Softmax(1),
    ).eval();
    const x = images().rgb.narrow(3, 0, 64);
    const run = ({ x }: { x: Tensor }) => [model.forward(x)];
    const { bytes, summary } = onnxModel(run, { x }, { model });
    expect(summary.opset).toBe(18);
    expect(summary.inputs).toEqual({ x: [2, 3, 64, 64] });
    expect(summary.outputs).toEqual({ output0: [2, 10] });
    // Parameters keep their names.
    const text = Buffer.from(bytes).toString('latin1');
    for (const name of ['0.weight', '1.running_mean', '5.bias']) expect(text).toContain(name);
    await expectSame(bytes, { x }, { output0: torch.noGrad(() => run({ x }))[0]! });
  }),
);

test('what no graph can hold is refused with a reason', () =>
  torch.scope(() => {
    const x = torch.ones([2, 2]);
    const refused = (fn: (given: { x: Tensor }) => Tensor[], options = {}) => {
      try {
        onnxModel(fn, { x }, options);
        return 'nothing was refused';
      } catch (error) {
        return `${(error as { code: string }).code}: ${(error as Error).message}`;
      }
    };
    expect(refused(({ x }) => [x.mul(x.sum().item() as number)])).toMatch(/^M3L_TRACE: .*item/);
    expect(refused(({ x }) => [x.add(1).add_(1)])).toMatch(/^M3L_TRACE: .*add_ writes/);
    expect(refused(() => [torch.ones([2])])).toMatch(/^M3L_TRACE: .*depends on no input/);
    expect(refused(({ x }) => [x.roll(1)])).toMatch(/^M3L_ONNX: aten::roll/);
    expect(refused(({ x }) => [x], { outputs: ['x'] })).toMatch(/^M3L_ONNX: 'x' names two/);
    expect(refused(({ x }) => [x], { outputs: [] })).toMatch(/^M3L_ONNX: 0 names for 1/);
    const model = new nn.Linear(2, 2);
    expect(refused(({ x }) => [model.forward(x)], { model })).toMatch(/^M3L_ONNX: .*in training/);
    // Whatever happened, nothing is traced any more.
    expect(x.sum().item()).toBe(4);
    expect(() => saveOnnx('/nowhere/x.onnx', ({ x }) => [x.add(1)], { x })).toThrow(/nowhere/);
  }));
