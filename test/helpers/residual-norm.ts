// What the tests of fuse_residual_norm and modality_norm share.
import { torch } from 'm3l';

type Tensor = torch.Tensor;

export interface Arguments {
  residual: Tensor;
  branch: Tensor;
  scale: Tensor | null;
  weight: Tensor;
  bias: Tensor;
  modalities: number;
  ratio: number;
}

export const eps = 1e-6;

export const fused = (a: Arguments): [sum: Tensor, normal: Tensor] =>
  torch.ops.m3l!.fuse_residual_norm!(
    a.residual,
    a.branch,
    a.scale,
    a.weight,
    a.bias,
    a.modalities,
    a.ratio,
    eps,
  ) as [Tensor, Tensor];

export function composedNorm(x: Tensor, weight: Tensor, bias: Tensor, modalities: number): Tensor {
  const normal = torch.layerNorm(x, [x.shape[2]!], null, null, eps);
  const split = normal.unflatten(0, [modalities, -1]);
  return split
    .mul(weight.view([modalities, 1, 1, -1]))
    .add(bias.view([modalities, 1, 1, -1]))
    .flatten(0, 1);
}

export function composed(a: Arguments): [sum: Tensor, normal: Tensor] {
  const streams = a.branch.unflatten(0, [a.modalities, -1]);
  const other = a.modalities > 1 ? (1 - a.ratio) / (a.modalities - 1) : 0;
  const own = a.modalities > 1 ? a.ratio : 1;
  const others = streams.sum([0], true).sub(streams);
  let branch = streams.mul(own).add(others.mul(other)).flatten(0, 1);
  if (a.scale) branch = branch.mul(a.scale.view([-1, 1, 1]));
  const sum = a.residual.add(branch);
  return [sum, composedNorm(sum, a.weight, a.bias, a.modalities)];
}

interface Case {
  shape: [modalities: number, batch: number, tokens: number, channels: number];
  ratio: number;
  dropped: boolean;
}

export function randomArguments({ shape, ratio, dropped }: Case, device: string): Arguments {
  const [modalities, batch, tokens, channels] = shape;
  const options = { dtype: 'float32', device } as const;
  const rows = modalities * batch;
  const leaf = (size: number[]) => torch.randn(size, options).requiresGrad_();
  return {
    residual: leaf([rows, tokens, channels]),
    branch: leaf([rows, tokens, channels]),
    scale: dropped ? torch.rand([rows], options).lt(0.7).to('float32').div(0.7) : null,
    weight: leaf([modalities, channels]),
    bias: leaf([modalities, channels]),
    modalities,
    ratio,
  };
}

export const cases: Case[] = [
  { shape: [2, 3, 16, 32], ratio: 0.8, dropped: true },
  { shape: [2, 3, 40, 64], ratio: 0.8, dropped: false },
  { shape: [2, 1, 1, 1], ratio: 0.8, dropped: true },
  { shape: [2, 2, 33, 13], ratio: 0.6, dropped: true },
  { shape: [2, 2, 7, 160], ratio: 1, dropped: true },
  { shape: [2, 2, 7, 320], ratio: 1, dropped: false },
  { shape: [3, 2, 5, 20], ratio: 0.5, dropped: true },
  { shape: [3, 1, 9, 256], ratio: 0.7, dropped: false },
  { shape: [1, 2, 70, 24], ratio: 0.8, dropped: true },
  { shape: [1, 2, 11, 512], ratio: 1, dropped: false },
  { shape: [4, 1, 3, 1030], ratio: 0.9, dropped: true },
  // Whole vectors of float32, none of bfloat16.
  { shape: [2, 2, 9, 20], ratio: 0.8, dropped: true },
];
