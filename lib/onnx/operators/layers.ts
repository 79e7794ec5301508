import type { Call, Converter, Converters, Graph } from '../graph.js';
import { cast } from './elementwise.js';
import { reshape, transpose } from './shapes.js';

/** x · Wᵀ + b of the last dimension. */
export function linear(graph: Graph, x: string, weight: string, bias: string): string {
  const product = graph.node('MatMul', [x, transpose(graph, weight, [1, 0])]);
  return bias === '' ? product : graph.node('Add', [product, bias]);
}

/** A size for each of `rank` dimensions, of which one may stand for all. */
const ofEach = (list: readonly number[], rank: number) =>
  list.length === rank ? list : Array<number>(rank).fill(list[0]!);

/** ONNX's `pads`: all beginnings, then all ends. */
const pads = (padding: readonly number[]) => [...padding, ...padding];

/** What `make` gives of an input [B, C, …] of `rank` more dimensions, or of one without B as of B = 1. */
function batched(
  graph: Graph,
  call: Call,
  { name, rank }: { name: string; rank: number },
  make: (x: string) => string,
): string {
  const { shape } = call.tensor(name);
  const x = call.input(name);
  if (shape.length !== rank + 1) return make(x);
  const first = graph.ints([0]);
  return graph.node('Squeeze', [make(graph.node('Unsqueeze', [x, first])), first]);
}

const convolution =
  (rank: number, op: 'Conv' | 'ConvTranspose'): Converter =>
  (graph, call) => {
    const ints = (name: string) => ofEach(call.ints(name), rank);
    const bias = call.optional('bias');
    const attributes = {
      strides: ints('stride'),
      pads: pads(ints('padding')),
      dilations: ints('dilation'),
      group: call.number('groups'),
      ...(op === 'ConvTranspose' && { output_padding: ints('output_padding') }),
    };
    return batched(graph, call, { name: 'input', rank }, (x) =>
      graph.node(op, [x, call.input('weight'), ...(bias ? [bias] : [])], attributes),
    );
  };

/** Without a stride it is the window's. */
const strides = (call: Call, kernel: readonly number[]) => {
  const given = call.ints('stride');
  return given.length === 0 ? kernel : ofEach(given, kernel.length);
};

const maxPool =
  (rank: number): Converter =>
  (graph, call) => {
    const kernel = ofEach(call.ints('kernel_size'), rank);
    const ints = (name: string) => ofEach(call.ints(name), rank);
    const attributes = {
      kernel_shape: kernel,
      strides: strides(call, kernel),
      pads: pads(ints('padding')),
      dilations: ints('dilation'),
      ceil_mode: Number(call.flag('ceil_mode')),
    };
    return batched(graph, call, { name: 'self', rank }, (x) =>
      graph.node('MaxPool', [x], attributes),
    );
  };

const averagePool =
  (rank: number): Converter =>
  (graph, call) => {
    const kernel = ofEach(call.ints('kernel_size'), rank);
    const hasDivisor = Object.hasOwn(call.traced.args, 'divisor_override');
    if (hasDivisor && !call.isLeftOut('divisor_override')) {
      throw call.refusal('with divisor_override');
    }
    const attributes = {
      kernel_shape: kernel,
      strides: strides(call, kernel),
      pads: pads(ofEach(call.ints('padding'), rank)),
      ceil_mode: Number(call.flag('ceil_mode')),
      count_include_pad: Number(call.flag('count_include_pad')),
    };
    return batched(graph, call, { name: 'self', rank }, (x) =>
      graph.node('AveragePool', [x], attributes),
    );
  };

/** To sizes that divide the input's, as a mean over equal windows. */
const adaptiveAveragePool: Converter = (graph, call) => {
  const { shape } = call.tensor('self');
  const from = shape.slice(-2);
  const to = call.result.shape.slice(-2);
  if (!from.every((size, i) => size % to[i]! === 0)) {
    throw call.refusal(`from ${from.join(' × ')} to ${to.join(' × ')}, no whole windows`);
  }
  const kernel = from.map((size, i) => size / to[i]!);
  const attributes = { kernel_shape: kernel, strides: kernel };
  return batched(graph, call, { name: 'self', rank: 2 }, (x) =>
    graph.node('AveragePool', [x], attributes),
  );
};

/** Weight and bias of a norm, which may be without: 1 and 0. */
function affine(graph: Graph, call: Call, channels: number): [string, string] {
  const { dtype } = call.result;
  const or = (name: string, value: number) =>
    call.optional(name) || graph.filled(value, dtype, [channels]);
  return [or('weight', 1), or('bias', 0)];
}

const batchNorm: Converter = (graph, call) => {
  if (call.flag('training')) throw call.refusal('in training: put the model into evaluation mode');
  const channels = call.result.shape[1]!;
  const names = [...affine(graph, call, channels), call.input('running_mean')];
  return graph.node(
    'BatchNormalization',
    [call.input('input'), ...names, call.input('running_var')],
    { epsilon: { float: call.number('eps') } },
  );
};

const layerNorm: Converter = (graph, call) => {
  const size = call.ints('normalized_shape');
  const { dtype } = call.result;
  const scale = call.optional('weight') || graph.filled(1, dtype, size);
  const bias = call.optional('bias');
  return graph.node('LayerNormalization', [call.input('input'), scale, ...(bias ? [bias] : [])], {
    axis: -size.length,
    epsilon: { float: call.number('eps') },
  });
};

/** Each group as one channel of an instance norm, then weight and bias by channel. */
const groupNorm: Converter = (graph, call) => {
  const { shape, dtype } = call.result;
  const groups = call.number('num_groups');
  const grouped = reshape(graph, call.input('input'), [shape[0]!, groups, -1]);
  const ones = graph.filled(1, dtype, [groups]);
  const zeros = graph.filled(0, dtype, [groups]);
  const normal = graph.node('InstanceNormalization', [grouped, ones, zeros], {
    epsilon: { float: call.number('eps') },
  });
  const wide = [shape[1]!, ...Array<number>(shape.length - 2).fill(1)];
  const [weight, bias] = affine(graph, call, shape[1]!).map((name) => reshape(graph, name, wide));
  const scaled = graph.node('Mul', [reshape(graph, normal, shape), weight!]);
  return graph.node('Add', [scaled, bias!]);
};

const COORDINATES = { true: 'align_corners', false: 'half_pixel' } as const;

/** Maps [B, C, …] brought to a size by interpolation. */
export function resize(
  graph: Graph,
  name: string,
  to: { shape: readonly number[]; mode: 'linear' | 'nearest' | 'cubic'; alignCorners: boolean },
): string {
  const nearest = to.mode === 'nearest';
  return graph.node('Resize', [name, '', '', graph.ints(to.shape)], {
    mode: to.mode,
    coordinate_transformation_mode: nearest ? 'asymmetric' : COORDINATES[`${to.alignCorners}`],
    ...(nearest && { nearest_mode: 'floor' }),
    ...(to.mode === 'cubic' && { cubic_coeff_a: { float: -0.75 } }),
  });
}

const upsample =
  (mode: 'linear' | 'nearest' | 'cubic'): Converter =>
  (graph, call) => {
    const alignCorners = mode !== 'nearest' && call.flag('align_corners');
    return resize(graph, call.input('self'), { shape: call.result.shape, mode, alignCorners });
  };

/** softmax(q·kᵀ · scale + bias) · v; `bias` may be ''. */
export function attention(
  graph: Graph,
  [q, k, v]: readonly [string, string, string],
  { scale, bias, perm }: { scale: string; bias: string; perm: readonly number[] },
): string {
  const scores = graph.node('MatMul', [q, transpose(graph, k, perm)]);
  const scaled = graph.node('Mul', [scores, scale]);
  const biased = bias === '' ? scaled : graph.node('Add', [scaled, bias]);
  return graph.node('MatMul', [graph.node('Softmax', [biased], { axis: -1 }), v]);
}

/** The permutation that swaps the last two of `rank` dimensions. */
export function lastSwapped(rank: number): number[] {
  const perm = Array.from({ length: rank }, (_, i) => i);
  return [...perm.slice(0, -2), rank - 1, rank - 2];
}

const scaledDotProduct: Converter = (graph, call) => {
  const query = call.tensor('query');
  const { dtype, shape } = query;
  if (call.number('dropout_p') !== 0) throw call.refusal('with dropout');
  if (call.flag('enable_gqa')) throw call.refusal('with enable_gqa');
  const scale = call.isLeftOut('scale') ? shape.at(-1)! ** -0.5 : call.number('scale');
  const [length, keys] = [shape.at(-2)!, call.tensor('key').shape.at(-2)!];
  const bias = call.flag('is_causal')
    ? causal(graph, [length, keys], dtype)
    : maskBias(graph, call);
  return attention(graph, [graph.name(query), call.input('key'), call.input('value')], {
    scale: graph.filled(scale, dtype),
    bias,
    perm: lastSwapped(shape.length),
  });
};

function causal(graph: Graph, size: readonly number[], dtype: Call['result']['dtype']): string {
  const far = graph.filled(-1e9, dtype, size);
  return graph.node('Trilu', [far, graph.ints([1], [])], { upper: 1 });
}

/** A mask as what is added to the scores; '' where there is none. */
function maskBias(graph: Graph, call: Call): string {
  if (call.isLeftOut('attn_mask')) return '';
  const mask = call.tensor('attn_mask');
  const { dtype } = call.result;
  if (mask.dtype !== 'bool') return cast(graph, graph.name(mask), mask.dtype, dtype);
  const [none, far] = [graph.filled(0, dtype), graph.filled(-1e9, dtype)];
  return graph.node('Where', [graph.name(mask), none, far]);
}

const product: Converter = (graph, call) => {
  const second = Object.hasOwn(call.traced.args, 'mat2') ? 'mat2' : 'other';
  return graph.node('MatMul', [call.input('self'), call.input(second)]);
};

/** beta · self + alpha · a · b */
const addedProduct =
  (a: string, b: string): Converter =>
  (graph, call) => {
    const { dtype } = call.result;
    const times = (name: string, factor: number) =>
      factor === 1 ? name : graph.node('Mul', [name, graph.filled(factor, dtype)]);
    const both = graph.node('MatMul', [call.input(a), call.input(b)]);
    const self = times(call.input('self'), call.number('beta'));
    return graph.node('Add', [self, times(both, call.number('alpha'))]);
  };

export const layers: Converters = {
  linear: (graph, call) =>
    linear(graph, call.input('input'), call.input('weight'), call.optional('bias')),
  matmul: product,
  mm: product,
  bmm: product,
  mv: (graph, call) => graph.node('MatMul', [call.input('self'), call.input('vec')]),
  addmm: addedProduct('mat1', 'mat2'),
  baddbmm: addedProduct('batch1', 'batch2'),
  addmv: addedProduct('mat', 'vec'),
  conv1d: convolution(1, 'Conv'),
  conv2d: convolution(2, 'Conv'),
  conv3d: convolution(3, 'Conv'),
  conv_transpose1d: convolution(1, 'ConvTranspose'),
  'conv_transpose2d.input': convolution(2, 'ConvTranspose'),
  'conv_transpose3d.input': convolution(3, 'ConvTranspose'),
  max_pool1d: maxPool(1),
  max_pool2d: maxPool(2),
  max_pool3d: maxPool(3),
  avg_pool1d: averagePool(1),
  avg_pool2d: averagePool(2),
  avg_pool3d: averagePool(3),
  adaptive_avg_pool2d: adaptiveAveragePool,
  batch_norm: batchNorm,
  layer_norm: layerNorm,
  group_norm: groupNorm,
  upsample_linear1d: upsample('linear'),
  upsample_bilinear2d: upsample('linear'),
  upsample_bicubic2d: upsample('cubic'),
  upsample_nearest1d: upsample('nearest'),
  upsample_nearest2d: upsample('nearest'),
  embedding: (graph, call) =>
    graph.node('Gather', [call.input('weight'), call.input('indices')], { axis: 0 }),
  scaled_dot_product_attention: scaledDotProduct,
  prelu: (graph, call) => {
    const rank = call.result.shape.length;
    const weight = call.tensor('weight');
    const wide = [...weight.shape, ...Array<number>(Math.max(0, rank - 2)).fill(1)];
    return graph.node('PRelu', [call.input('self'), reshape(graph, graph.name(weight), wide)]);
  },
};
