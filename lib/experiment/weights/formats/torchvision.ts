import type { WeightsFormat } from '../format.js';

/** `conv1.weight`, `layer1.0.conv1.weight`, …; the classifier (`fc`) is left out. */
export const torchvision: WeightsFormat = {
  name: 'torchvision',
  title: "torchvision's ResNets",
  fits: ({ tensors }) => 'conv1.weight' in tensors && 'layer1.0.conv1.weight' in tensors,
  convert: ({ tensors }) =>
    Object.fromEntries(
      Object.entries(tensors).filter(([name]) => !/^fc\.|num_batches_tracked$/.test(name)),
    ),
};
