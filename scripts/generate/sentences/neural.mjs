/** Layers, activations, losses: what each gives. */

const pooled = {
  adaptive_avg_pool1d: 'Means over windows such that the last dimension gets `outputSize`.',
  adaptive_avg_pool2d: 'Means over windows such that the last two dimensions get `outputSize`.',
  adaptive_avg_pool3d: 'Means over windows such that the last three dimensions get `outputSize`.',
  adaptive_max_pool1d:
    'Maxima over windows such that the last dimension gets `outputSize`, and their indices.',
  adaptive_max_pool2d:
    'Maxima over windows such that the last two dimensions get `outputSize`, and their indices.',
  adaptive_max_pool3d:
    'Maxima over windows such that the last three dimensions get `outputSize`, and their indices.',
  avg_pool1d:
    'Means over windows of `kernelSize` in the last dimension; `stride` is `kernelSize` by default.',
  avg_pool2d:
    'Means over windows of `kernelSize` in the last two dimensions; `stride` is `kernelSize` by default.',
  avg_pool3d:
    'Means over windows of `kernelSize` in the last three dimensions; `stride` is `kernelSize` by default.',
  fractional_max_pool2d: 'Maxima over windows placed at random, and their indices.',
  fractional_max_pool3d: 'Maxima over windows placed at random, and their indices.',
  max_pool1d:
    'Maxima over windows of `kernelSize` in the last dimension; `stride` is `kernelSize` by default.',
  max_pool2d:
    'Maxima over windows of `kernelSize` in the last two dimensions; `stride` is `kernelSize` by default.',
  max_pool3d:
    'Maxima over windows of `kernelSize` in the last three dimensions; `stride` is `kernelSize` by default.',
  max_pool1d_with_indices: 'As `maxPool1d`, with the indices of the maxima.',
  max_pool2d_with_indices: 'As `maxPool2d`, with the indices of the maxima.',
  max_pool3d_with_indices: 'As `maxPool3d`, with the indices of the maxima.',
  max_unpool2d: 'Values put at the `indices` that `maxPool2dWithIndices` gave; 0 elsewhere.',
  max_unpool3d: 'Values put at the `indices` that `maxPool3dWithIndices` gave; 0 elsewhere.',
};

const convolutions = {
  conv1d: 'Convolution of [N, C, L] with `weight` [O, C / groups, K].',
  conv2d: 'Convolution of [N, C, H, W] with `weight` [O, C / groups, KH, KW].',
  conv3d: 'Convolution of [N, C, D, H, W] with `weight` [O, C / groups, KD, KH, KW].',
  conv_tbc: 'Convolution of [T, N, C] with `weight` [K, C, O].',
  conv_transpose1d: 'Transposed convolution of [N, C, L] with `weight` [C, O / groups, K].',
  conv_transpose2d: 'Transposed convolution of [N, C, H, W] with `weight` [C, O / groups, KH, KW].',
  conv_transpose3d:
    'Transposed convolution of [N, C, D, H, W] with `weight` [C, O / groups, KD, KH, KW].',
  convolution: 'The convolution, `transposed` or not, that `conv1d` to `convTranspose3d` call.',
  im2col: 'Windows of an image [N, C, H, W] as columns: [N, C · KH · KW, windows].',
  col2im: 'Columns added up to an image: the adjoint of `im2col`.',
};

const activations = {
  celu: 'max(0, x) + min(0, `alpha` · (exp(x / `alpha`) − 1)).',
  elu: 'x above 0, `alpha` · (eˣ − 1) below (times `scale`).',
  gelu: 'x · Φ(x), Φ the area under the normal density; or its approximation by `tanh`.',
  glu: 'The first half along `dim` times the sigmoid of the second.',
  hardshrink: 'x where |x| > `lambd`, 0 elsewhere.',
  hardsigmoid: 'min(max(x + 3, 0), 6) / 6.',
  hardswish: 'x · min(max(x + 3, 0), 6) / 6.',
  hardtanh: 'x, but at least `minVal` and at most `maxVal`.',
  leaky_relu: 'x above 0, `negativeSlope` · x below.',
  log_sigmoid: 'ln of the sigmoid.',
  log_softmax: 'ln of `softmax` along `dim`.',
  mish: 'x · tanh(ln(1 + eˣ)).',
  prelu: 'x above 0, `weight` · x below; one weight, or one a channel.',
  relu: 'max(0, x).',
  relu6: 'min(max(0, x), 6).',
  rrelu:
    'x above 0, a · x below, a drawn from [`lower`, `upper`] in training and their mean otherwise.',
  selu: '1.0507 · (x above 0, 1.6733 · (eˣ − 1) below).',
  silu: 'x · sigmoid(x).',
  softmax: 'eˣ divided by the sum of such along `dim`.',
  softplus: 'ln(1 + exp(`beta` · x)) / `beta`; x itself where `beta` · x is above `threshold`.',
  softshrink: 'x moved by `lambd` towards 0, and 0 within.',
  threshold: 'x where it is above `threshold`, `value` elsewhere.',
};

const losses = {
  binary_cross_entropy:
    '−(y ln p + (1 − y) ln(1 − p)) of probabilities `self` and targets of the same shape.',
  binary_cross_entropy_with_logits: 'As `binaryCrossEntropy`, of logits.',
  cosine_embedding_loss:
    '1 − cos(x₁, x₂) where `target` is 1, max(0, cos(x₁, x₂) − `margin`) where it is −1.',
  cross_entropy_loss:
    'Cross entropy of logits [N, C, …] and classes [N, …] (int64) or probabilities [N, C, …].',
  ctc_loss: 'Connectionist temporal classification loss of log probabilities [T, N, C].',
  hinge_embedding_loss: 'x where `target` is 1, max(0, `margin` − x) where it is −1.',
  huber_loss: 'Squared error / 2 up to `delta`, `delta` · (|error| − `delta` / 2) beyond.',
  kl_div:
    '`target` · (ln `target` − `self`), where `self` is a logarithm, and `target` too with `logTarget`.',
  l1_loss: 'Absolute error.',
  margin_ranking_loss: 'max(0, −`target` · (x₁ − x₂) + `margin`).',
  mse_loss: 'Squared error.',
  multi_margin_loss: 'Hinge loss of scores [N, C] and classes [N].',
  multilabel_margin_loss: 'Hinge loss of scores [N, C] and several classes each, ended by −1.',
  nll_loss: '−(log probability of the class), of log probabilities [N, C] and classes [N] (int64).',
  nll_loss2d:
    '−(log probability of the class), of log probabilities [N, C, H, W] and classes [N, H, W].',
  nll_loss_nd:
    '−(log probability of the class), of log probabilities [N, C, …] and classes [N, …].',
  poisson_nll_loss:
    'Negative log likelihood of counts under Poisson distributions of the given (log) rates.',
  smooth_l1_loss: 'Squared error / (2 `beta`) up to `beta`, |error| − `beta` / 2 beyond.',
  soft_margin_loss: 'ln(1 + exp(−`target` · x)).',
  triplet_margin_loss: 'max(0, distance to `positive` − distance to `negative` + `margin`).',
};

const layers = {
  affine_grid_generator:
    'Coordinates at which `theta` [N, 2, 3] or [N, 3, 4] puts the pixels of an output of `size`.',
  batch_norm:
    'Normalised per channel: by the batch in `training`, by the running statistics otherwise.',
  bilinear: 'x₁ᵀ A x₂ + b for each output.',
  dropout: 'In training, elements set to 0 with probability `p`, the others divided by 1 − `p`.',
  alpha_dropout: 'Dropout that keeps mean and variance of what `selu` gives.',
  feature_dropout: 'Dropout of whole channels.',
  feature_alpha_dropout: '`alphaDropout` of whole channels.',
  embedding: 'Rows of `weight` at the `indices`.',
  embedding_bag:
    'Sums, means or maxima of rows of `weight`, a bag each: the first of four results.',
  grid_sampler: 'Samples of images at the coordinates `grid` in [−1, 1].',
  group_norm: 'Normalised per sample and group of channels.',
  gru: 'Gated recurrent units over sequences: outputs, and the last hidden states.',
  gru_cell: 'One step of a gated recurrent unit.',
  instance_norm:
    'Normalised per sample and channel; by the running statistics where `useInputStats` is false.',
  layer_norm: 'Normalised over the last dimensions, `normalizedShape`, then scaled and moved.',
  linear: 'x Wᵀ + b, `weight` of shape [outputs, inputs].',
  lstm: 'Long short-term memory over sequences: outputs, last hidden states, last cell states.',
  lstm_cell: 'One step of a long short-term memory: hidden state and cell state.',
  rms_norm:
    'Divided by the root mean square over the last dimensions, `normalizedShape`, then scaled.',
  rnn_relu: 'A plain recurrent network with relu: outputs, and the last hidden states.',
  rnn_relu_cell: 'One step of a plain recurrent network with relu.',
  rnn_tanh: 'A plain recurrent network with tanh: outputs, and the last hidden states.',
  rnn_tanh_cell: 'One step of a plain recurrent network with tanh.',
  scaled_dot_product_attention:
    'softmax(Q Kᵀ · `scale` + mask) V, of [N, …, L, E]; `scale` is 1 / √E by default.',
  reflection_pad1d: 'The last dimension padded by reflection without the border.',
  reflection_pad2d: 'The last two dimensions padded by reflection without the border.',
  reflection_pad3d: 'The last three dimensions padded by reflection without the border.',
  replication_pad1d: 'The last dimension padded with the values of the border.',
  replication_pad2d: 'The last two dimensions padded with the values of the border.',
  replication_pad3d: 'The last three dimensions padded with the values of the border.',
  grid_sampler_2d: 'Samples of [N, C, H, W] at the coordinates `grid` in [−1, 1].',
  grid_sampler_3d: 'Samples of [N, C, D, H, W] at the coordinates `grid` in [−1, 1].',
  native_batch_norm: 'As `batchNorm`, with what its backward needs of the statistics.',
  native_dropout: 'As `dropout`, with the mask of what was kept.',
  native_group_norm: 'As `groupNorm`, with the means and the reciprocal standard deviations.',
  native_layer_norm: 'As `layerNorm`, with the means and the reciprocal standard deviations.',
  _softmax: 'What `softmax` calls: along `dim`.',
  _log_softmax: 'What `logSoftmax` calls: along `dim`.',
  _foreach_norm: 'The `ord`-norm of each tensor of a list.',
  _fused_adamw_: 'One step of AdamW on lists of parameters, which are written.',
  _fused_sgd_: 'One step of SGD on lists of parameters, which are written.',
  upsample_bicubic2d: '[N, C, H, W] resized by cubic interpolation.',
  upsample_bilinear2d: '[N, C, H, W] resized by linear interpolation.',
  upsample_linear1d: '[N, C, L] resized by linear interpolation.',
  upsample_nearest1d: '[N, C, L] resized by the nearest value.',
  upsample_nearest2d: '[N, C, H, W] resized by the nearest value.',
  upsample_nearest3d: '[N, C, D, H, W] resized by the nearest value.',
  upsample_trilinear3d: '[N, C, D, H, W] resized by linear interpolation.',
};

export const neural = {
  ...pooled,
  ...convolutions,
  ...activations,
  ...losses,
  ...layers,
};
