import { readFileSync } from 'node:fs';
import { nn, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

type Input = number[] | { dtype: torch.DType; values: number[] | number[][] };
interface Case {
  name: string;
  args: unknown[];
  options: Record<string, unknown>;
  inputs: Input[];
  state: Record<string, number[]>;
  outputs: { shape: number[]; values: number[] }[];
  gradient: number[] | null;
  gradients: Record<string, number[]>;
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

type Output = torch.Tensor | readonly Output[];
const tensors = (value: Output): torch.Tensor[] =>
  value instanceof torch.Tensor ? [value] : value.flatMap(tensors);

const near = { rtol: 1e-5, atol: 1e-5 };

describe('layers beside PyTorch: values, gradients, state dict', () => {
  it.each(cases.map((each) => [`${each.name} ${JSON.stringify(each.options)}`, each] as const))(
    '%s',
    (_, each) => {
      torch.scope(() => {
        const options = Object.entries(each.options).map(([key, value]) => {
          const weight = /weight$/.test(key) && Array.isArray(value);
          return [
            camel(key),
            weight ? torch.tensor(value as number[], { dtype: 'float32' }) : value,
          ];
        });
        const Layer = (nn as unknown as Record<string, new (...args: unknown[]) => nn.Module>)[
          each.name
        ]!;
        const last = options.length > 0 ? [Object.fromEntries(options)] : [];
        using layer = new Layer(...each.args, ...last);
        const shapes = Object.entries(layer.stateDict()).map(([key, { shape }]) => [
          key,
          [...shape],
        ]);
        expect(Object.fromEntries(shapes)).toEqual(each.state);
        torch.noGrad(() => {
          layer.parameters().forEach((tensor, i) => {
            tensor.copy_(values(20 + i, tensor.shape));
          });
        });
        const inputs = each.inputs.map((input, i) =>
          Array.isArray(input)
            ? values(i, input)
            : torch.tensor(input.values, { dtype: input.dtype }),
        );
        if (each.gradient) inputs[0]!.requiresGrad_(true);
        const outputs = tensors(layer.forward(...(inputs as never[])) as Output);
        expect(outputs.map(({ shape }) => [...shape])).toEqual(
          each.outputs.map(({ shape }) => shape),
        );
        outputs.forEach((output, i) => {
          expect(output.flatten()).toBeCloseToTensor(each.outputs[i]!.values, near);
        });
        const parts = outputs.map((output, i) => output.mul(values(40 + i, output.shape)).sum());
        const loss = parts.reduce((sum, part) => sum.add(part));
        if (loss.requiresGrad) loss.backward();
        if (each.gradient) {
          expect(inputs[0]!.grad!.flatten()).toBeCloseToTensor(each.gradient, near);
        }
        for (const [name, tensor] of layer.namedParameters()) {
          expect(tensor.grad!.flatten()).toBeCloseToTensor(each.gradients[name]!, near);
          tensor.grad = null;
        }
      });
    },
  );
});
