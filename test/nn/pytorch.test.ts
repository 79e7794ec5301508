import { readFileSync } from 'node:fs';
import { nn, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

interface Values {
  dtype: torch.DType;
  values: number[] | number[][];
}
/** A shape, values, several inputs, or the first input again; null: none. */
type Input = number[] | Values | Input[] | 'first' | null;
interface Case {
  name: string;
  args: unknown[];
  options: Record<string, unknown>;
  inputs: Input[];
  training: boolean;
  call: Record<string, unknown>;
  state: Record<string, number[]>;
  outputs: { shape: number[]; values: number[] }[];
  gradient: number[] | null;
  gradients: Record<string, number[] | null>;
  buffers: Record<string, number[]>;
}
// Written by scripts/golden/nn.py, whose `values` is the one here.
const cases = JSON.parse(
  readFileSync(new URL('../fixtures/nn.json', import.meta.url), 'utf8'),
) as Case[];

function values(seed: number, shape: readonly number[]): torch.Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const flat = Array.from({ length: count }, (_, i) => Math.sin(1 + 7 * seed + 1.7 * i));
  return torch.tensor(flat, { dtype: 'float32' }).reshape([...shape]);
}

const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

type Output = torch.Tensor | null | readonly Output[];
const tensors = (value: Output): torch.Tensor[] =>
  value instanceof torch.Tensor ? [value] : (value ?? []).flatMap(tensors);

const isShape = (input: Input): input is number[] =>
  Array.isArray(input) && typeof input[0] !== 'object';

function made(input: Input, seed: number): unknown {
  if (input === null || input === 'first') return undefined;
  if (isShape(input)) return values(seed, input);
  if (Array.isArray(input)) return input.map((each, i) => made(each, seed + 1 + i));
  return torch.tensor(input.values, { dtype: input.dtype });
}

type Described = [name: string, args: unknown[], options: Record<string, unknown>];
type LayerClass = new (...args: unknown[]) => nn.Module;

const described = (value: unknown): Described | undefined =>
  (value as { layer?: Described } | null)?.layer;

/** Options in camelCase; weights of classes are tensors, layers are made. */
function camelOptions(options: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(options).map(([key, value]) => {
    const layer = described(value);
    if (layer) return [camel(key), create(...layer)];
    const weights = /weight$/.test(key) && Array.isArray(value);
    return [camel(key), weights ? torch.tensor(value as number[], { dtype: 'float32' }) : value];
  });
  return Object.fromEntries(entries);
}

type Apply = (...args: unknown[]) => torch.Tensor;

/** A function of `nn.functional` with its arguments. */
class Applied extends nn.Module {
  readonly #apply: (...inputs: torch.Tensor[]) => torch.Tensor;

  constructor(name: string, args: unknown[], options: Record<string, unknown>) {
    super();
    const apply = (nn.functional as unknown as Record<string, Apply>)[camel(name)]!;
    this.#apply = (...inputs) => apply(...inputs, ...args, camelOptions(options));
  }

  override forward(...inputs: torch.Tensor[]): torch.Tensor {
    return this.#apply(...inputs);
  }
}

/** Layers among the arguments are given as functions that make them. */
function create(...[name, args, options]: Described): nn.Module {
  if (name.startsWith('F.')) return new Applied(name.slice(2), args, options);
  const Layer = (nn as unknown as Record<string, LayerClass>)[name]!;
  const last = Object.keys(options).length > 0 ? [camelOptions(options)] : [];
  const given = args.map((value) => {
    const layer = described(value);
    return layer ? () => create(...layer) : value;
  });
  return new Layer(...given, ...last);
}

const shapesOf = (state: nn.StateDict) =>
  Object.entries(state).map(([key, { shape }]) => [key, [...shape]]);

const near = { rtol: 1e-5, atol: 1e-5 };

/** The outputs of the case, and that they and the gradients are PyTorch's. */
function expectPyTorch(layer: nn.Module, each: Case): void {
  torch.noGrad(() => {
    layer.parameters().forEach((tensor, i) => {
      tensor.copy_(values(20 + i, tensor.shape));
    });
  });
  const [first, ...others] = each.inputs.map((input, i) => made(input, 10 * i)) as torch.Tensor[];
  if (first === undefined) throw new Error('a case without inputs');
  const inputs = [first, ...others.map((x, i) => (each.inputs[i + 1] === 'first' ? first : x))];
  if (each.gradient) first.requiresGrad_(true);
  const call = Object.entries(each.call).map(([key, value]) => {
    const isInput = typeof value === 'object' && value !== null;
    return [camel(key), isInput ? made(value as Input, 90) : value];
  });
  const last = call.length > 0 ? [Object.fromEntries(call)] : [];
  torch.manualSeed(0);
  const outputs = tensors(layer.forward(...([...inputs, ...last] as never[])) as Output);
  expect(outputs.map(({ shape }) => [...shape])).toEqual(each.outputs.map(({ shape }) => shape));
  outputs.forEach((output, i) => {
    expect(output.flatten()).toBeCloseToTensor(each.outputs[i]!.values, near);
  });
  const parts = outputs.flatMap((output, i) =>
    output.requiresGrad ? [output.mul(values(40 + i, output.shape)).sum()] : [],
  );
  if (parts.length > 0) parts.reduce((sum, part) => sum.add(part)).backward();
  if (each.gradient) expect(first.grad!.flatten()).toBeCloseToTensor(each.gradient, near);
  for (const [name, tensor] of layer.namedParameters()) {
    const expected = each.gradients[name];
    if (expected) expect(tensor.grad!.flatten(), name).toBeCloseToTensor(expected, near);
    else expect([name, tensor.grad, expected]).toEqual([name, null, null]);
    tensor.grad = null;
  }
  for (const [name, tensor] of layer.namedBuffers()) {
    const expected = each.buffers[name];
    if (expected) expect(tensor.flatten(), name).toBeCloseToTensor(expected, near);
  }
}

const titled = cases.map((each) => {
  const { name, args, training, options, call } = each;
  return [
    `${name} ${training ? 'training' : 'evaluating'} ${JSON.stringify([args, options, call])}`,
    each,
  ] as const;
});

describe('layers beside PyTorch: values, gradients, state dict', () => {
  it.each(titled)('%s', (_, each) => {
    torch.scope(() => {
      using layer = create(each.name, each.args, each.options).train(each.training);
      expect(shapesOf(layer.stateDict())).toEqual(Object.entries(each.state));
      expectPyTorch(layer, each);
      expect(`${layer}`).toMatch(new RegExp(`^(${each.name}|Applied)\\(`));
    });
  });
});
