/** Our own operators (torch.ops.m3l), each as the nodes that it stands for. */
import type { TracedTensor } from '../../torch/trace.js';
import type { Call, Converters, Graph } from '../graph.js';
import { gelu } from './elementwise.js';
import { attention, lastSwapped, linear, resize } from './layers.js';
import { reshape, transpose } from './shapes.js';

/** Tokens [B, N, C] as an image [B, C, H, W]. */
function asImage(
  graph: Graph,
  name: string,
  [batch, channels, height, width]: readonly [number, number, number, number],
): string {
  const shape = [batch, channels, height, width];
  return reshape(graph, transpose(graph, name, [0, 2, 1]), shape);
}

/** An image [B, C, H, W] as tokens [B, N, C]. */
function asTokens(
  graph: Graph,
  name: string,
  [batch, channels]: readonly [number, number],
): string {
  return transpose(graph, reshape(graph, name, [batch, channels, -1]), [0, 2, 1]);
}

/** LayerNorm of [M·B, N, C], of each modality by its own weight and bias [M, C]. */
function modalityNorm(
  graph: Graph,
  tokens: string,
  { shape, dtype }: TracedTensor,
  {
    weight,
    bias,
    modalities,
    eps,
  }: { weight: string; bias: string; modalities: number; eps: number },
): string {
  const [rows, count, channels] = shape as [number, number, number];
  const epsilon = { float: eps };
  const ones = graph.filled(1, dtype, [channels]);
  const normal = graph.node('LayerNormalization', [tokens, ones], { axis: -1, epsilon });
  const byModality = reshape(graph, normal, [modalities, (rows / modalities) * count, channels]);
  const own = (name: string) => reshape(graph, name, [modalities, 1, channels]);
  const scaled = graph.node('Mul', [byModality, own(weight)]);
  return reshape(graph, graph.node('Add', [scaled, own(bias)]), shape);
}

/** What `modalityNorm` is told, of a call's arguments. */
function normOf(call: Call) {
  return {
    weight: call.input('weight'),
    bias: call.input('bias'),
    modalities: call.number('modalities'),
    eps: call.number('eps'),
  };
}

/** r · x_m + (1 − r)/(M − 1) · Σ_{j≠m} x_j */
function linearFuse(
  graph: Graph,
  name: string,
  { shape, dtype }: TracedTensor,
  { modalities, ratio }: { modalities: number; ratio: number },
): string {
  if (modalities < 2 || ratio === 1) return name;
  const other = (1 - ratio) / (modalities - 1);
  const [rows, ...rest] = shape as [number, ...number[]];
  const x = reshape(graph, name, [modalities, rows / modalities, ...rest]);
  const all = graph.node('ReduceSum', [x, graph.ints([0])], { keepdims: 1 });
  const own = graph.node('Mul', [x, graph.filled(ratio - other, dtype)]);
  const shared = graph.node('Mul', [all, graph.filled(other, dtype)]);
  return reshape(graph, graph.node('Add', [own, shared]), shape);
}

/** GELU of the depthwise convolution of tokens on a grid. */
function convolved(
  graph: Graph,
  tokens: string,
  of: TracedTensor,
  call: Call,
  channels: number,
): string {
  const batch = of.shape[0]!;
  const [height, width] = [call.number('height'), call.number('width')];
  const image = asImage(graph, tokens, [batch, channels, height, width]);
  const made = graph.node('Conv', [image, call.input('weight'), call.input('bias')], {
    pads: [1, 1, 1, 1],
    group: channels,
  });
  return asTokens(graph, gelu(graph, made, of.dtype), [batch, channels]);
}

export const fused: Converters = {
  linear: (graph, call) =>
    linear(graph, call.input('input'), call.input('weight'), call.optional('bias')),
  attention: (graph, call) => {
    const query = call.tensor('query');
    const { shape, dtype } = query;
    // [B, N'] or [B, heads, N'] beside [B, heads, N, N'].
    const bias = call.isLeftOut('key_bias')
      ? ''
      : graph.node('Unsqueeze', [call.input('key_bias'), graph.ints([-2])]);
    return attention(graph, [graph.name(query), call.input('key'), call.input('value')], {
      scale: graph.filled(shape.at(-1)! ** -0.5, dtype),
      bias,
      perm: lastSwapped(shape.length),
    });
  },
  modality_norm: (graph, call) =>
    modalityNorm(graph, call.input('tokens'), call.result, normOf(call)),
  fuse_residual_norm: (graph, call) => {
    const branch = call.tensor('branch');
    const norm = normOf(call);
    const fusion = { modalities: norm.modalities, ratio: call.number('ratio') };
    const mixed = linearFuse(graph, graph.name(branch), branch, fusion);
    if (!call.isLeftOut('scale')) throw call.refusal('with stochastic depth: use evaluation mode');
    const sum = graph.node('Add', [call.input('residual'), mixed]);
    return [sum, modalityNorm(graph, sum, call.result, norm)];
  },
  linear_fuse: (graph, call) => {
    const fusion = { modalities: call.number('modalities'), ratio: call.number('ratio') };
    return linearFuse(graph, call.input('tokens'), call.result, fusion);
  },
  token_dwconv_gelu: (graph, call) =>
    convolved(graph, call.input('tokens'), call.result, call, call.result.shape[2]!),
  mix_ffn: (graph, call) => {
    const tokens = call.tensor('tokens');
    const wide = call.tensor('in_weight').shape[0]!;
    const inner = linear(graph, graph.name(tokens), call.input('in_weight'), call.input('in_bias'));
    const middle = convolved(graph, inner, tokens, call, wide);
    return linear(graph, middle, call.input('out_weight'), call.input('out_bias'));
  },
  upsample_sum: (graph, call) => {
    const { shape } = call.result;
    const [batch, , channels] = shape as [number, number, number];
    const [height, width] = [call.number('height'), call.number('width')];
    const sizes = call.ints('sizes');
    const whole = [batch, channels, height, width];
    const sum = call.tensors('maps').reduce((so, map, i) => {
      const grid = [batch, channels, sizes[2 * i]!, sizes[2 * i + 1]!] as const;
      const image = asImage(graph, graph.name(map), grid);
      const large = resize(graph, image, { shape: whole, mode: 'linear', alignCorners: false });
      return graph.node('Add', [so, asTokens(graph, large, [batch, channels])]);
    }, call.input('base'));
    return call.flag('relu') ? graph.node('Relu', [sum]) : sum;
  },
  mask_tokens: (graph, call) => {
    const mask = call.tensor('mask');
    const { shape } = call.result;
    const wide = [shape[0]!, mask.shape.length > 1 ? shape[1]! : 1, 1];
    const where = reshape(graph, graph.name(mask), wide);
    return graph.node('Where', [where, call.input('token'), call.input('tokens')]);
  },
};
