/** Which operators get a typed function, and which a direct path. */

/** Underscored operators that the project uses by name. */
export const underscored = [
  '_foreach_add_',
  '_foreach_sub_',
  '_foreach_mul_',
  '_foreach_div_',
  '_foreach_sqrt',
  '_foreach_lerp_',
  '_foreach_addcdiv_',
  '_foreach_addcmul_',
  '_foreach_copy_',
  '_foreach_norm',
  '_foreach_zero_',
  '_fused_adamw_',
  '_fused_sgd_',
  '_softmax',
  '_log_softmax',
  '_to_copy',
];

/** Prefixes of names that are namespaces, as PyTorch's: `torch.linalg.svd`. */
export const namespaces = ['linalg', 'fft', 'special'];

/** Functions that take a number before the tensor, as Python's: `torch.sub(1, x)`. */
export const numbersFirst = new Set(
  'add sub subtract mul multiply div divide true_divide floor_divide'.split(' '),
);

/** Written by hand in lib/torch/tensor.ts or creation.ts, with a friendlier form. */
export const byHand = new Map([
  ['to', 'Tensor.to'],
  ['size', 'Tensor.size'],
  ['item', 'Tensor.item'],
  ['numel', 'Tensor.numel'],
  ['is_leaf', 'Tensor.isLeaf'],
  ['requires_grad_', 'Tensor.requiresGrad_'],
  ['full', 'torch.full'],
  ['norm', 'torch.norm'],
  ['nonzero', 'torch.nonzero'],
  ['tensordot', 'torch.tensordot'],
  ['unique_consecutive', 'torch.uniqueConsecutive'],
  ['chalf', 'Tensor.chalf'],
  ['numpy_T', 'Tensor.T'],
  ['matrix_H', 'Tensor.H'],
  ['mT', 'Tensor.mT'],
  ['mH', 'Tensor.mH'],
]);

/** Overloads that would be tried before the one that PyTorch's function of the name has, by `name.overload`. */
export const hidden = new Map([
  ['stft.', "without `center`, which PyTorch's has and defaults to true: by `torch.ops`"],
]);

/** Small operators whose cost is the call itself: they skip the overload search where types fit. */
export const hot = `
  abs exp log sqrt rsqrt neg square reciprocal sigmoid tanh relu relu_ gelu silu sin cos
  detach clone contiguous t zero_ fill_ copy_ sign floor round
  add add_ sub sub_ mul mul_ div div_ pow matmul mm bmm maximum minimum
  eq ne lt le gt ge logical_and logical_or logical_not masked_fill
  sum mean amax amin argmax softmax log_softmax cumsum
  reshape view permute transpose flatten unsqueeze squeeze select narrow slice expand
  index_select gather clamp lerp lerp_
  cat stack linear where embedding
`
  .split(/\s+/)
  .filter(Boolean);
