import { readFileSync } from 'node:fs';
import { type nn, torch } from 'm3l';

/** Sines of their position: the `values` of scripts/golden/nn_utils.py. */
export function values(seed: number, shape: readonly number[]): torch.Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const flat = Array.from({ length: count }, (_, i) => Math.sin(1 + 7 * seed + 1.7 * i));
  return torch.tensor(flat, { dtype: 'float32' }).reshape([...shape]);
}

/** Parameters of such. */
export function filled<M extends nn.Module>(module: M, seed = 20): M {
  torch.noGrad(() => {
    for (const [i, tensor] of module.parameters().entries()) {
      tensor.copy_(values(seed + i, tensor.shape));
    }
  });
  return module;
}

/** What scripts/golden/nn_utils.py wrote. */
export function utilsFixture<Content>(): Content {
  const file = new URL('../fixtures/nn-utils.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Content;
}

export const flat = (tensor: torch.Tensor) => tensor.detach().flatten();

export interface Passed {
  output: number[];
  input: number[];
  gradients: Record<string, number[]>;
}

/** The output, and the gradients of its sum times sines. */
export function passed(module: nn.Layer, shape: number[]) {
  module.zeroGrad();
  const x = values(0, shape).requiresGrad_();
  const output = module.forward(x);
  output.mul(values(40, output.shape)).sum().backward();
  const gradients = module
    .namedParameters()
    .flatMap(([name, { grad }]) => (grad ? [[name, flat(grad)] as const] : []));
  return { output: flat(output), input: flat(x.grad!), gradients: Object.fromEntries(gradients) };
}
