import { torch } from 'm3l';

/** The parameters of scripts/golden/parameters.py, and the gradients that they get. */
export const shapes = [[3, 2], [5], [2, 1, 2]];

export function values(index: number, step: number, shape: number[]): torch.Tensor {
  const count = shape.reduce((product, side) => product * side, 1);
  const flat = Float32Array.from({ length: count }, (_, i) =>
    Math.sin(1 + 7 * index + 3 * step + 1.7 * i),
  );
  return torch.tensor(flat, { shape });
}

export const initial = () => shapes.map((shape, i) => values(i, -1, shape).requiresGrad_());

export function giveGradients(params: torch.Tensor[], step: number): void {
  for (const [i, param] of params.entries()) {
    const none = i === 2 && [0, 1, 3].includes(step);
    param.grad = none ? null : values(i, step, shapes[i]!);
  }
}

export const groupsOf = ([first, ...rest]: torch.Tensor[]) => [
  { params: [first!] },
  { params: rest, lr: 0.02, weightDecay: 0 },
];
