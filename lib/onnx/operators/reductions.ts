import type { Call, Converter, Converters, Graph } from '../graph.js';
import { typeNumber } from '../model-file.js';
import { cast } from './elementwise.js';

/** The dimensions that a reduction is over, from the front; all where none is given. */
function axes(call: Call, name = 'dim'): number[] {
  const rank = call.tensor('self').shape.length;
  const given =
    Object.hasOwn(call.traced.args, name) && !call.isLeftOut(name) ? call.ints(name) : [];
  const dims = given.length > 0 ? given : Array.from({ length: rank }, (_, i) => i);
  return dims.map((dim) => (dim < 0 ? dim + rank : dim));
}

const keeps = (call: Call) =>
  Object.hasOwn(call.traced.args, 'keepdim') && call.flag('keepdim') ? 1 : 0;

const reduction =
  (op: string): Converter =>
  (graph, call) => {
    const self = call.tensor('self');
    const x = cast(graph, graph.name(self), self.dtype, call.result.dtype);
    return graph.node(op, [x, graph.ints(axes(call))], { keepdims: keeps(call) });
  };

const arg =
  (op: string): Converter =>
  (graph, call) => {
    const keepdims = keeps(call);
    if (!call.isLeftOut('dim')) {
      return graph.node(op, [call.input('self')], { axis: call.dimension('dim'), keepdims });
    }
    const flat = graph.node('Reshape', [call.input('self'), graph.ints([-1])]);
    return graph.node(op, [flat], { axis: 0, keepdims: 0 });
  };

/** The extreme along a dimension, and where it is. */
const extreme =
  (op: string, place: string): Converter =>
  (graph, call) => {
    const x = call.input('self');
    const axis = call.dimension('dim');
    const keepdims = keeps(call);
    return [
      graph.node(op, [x, graph.ints([axis])], { keepdims }),
      graph.node(place, [x], { axis, keepdims }),
    ];
  };

/** The variance, biased or not, by its definition. */
function variance(graph: Graph, call: Call): string {
  const over = axes(call);
  const { shape, dtype } = call.tensor('self');
  const x = call.input('self');
  const count = over.reduce((product, axis) => product * shape[axis]!, 1);
  const correction = call.isLeftOut('correction') ? 1 : call.number('correction');
  const centred = graph.node('Sub', [x, graph.node('ReduceMean', [x, graph.ints(over)])]);
  const squares = graph.node('Mul', [centred, centred]);
  const sum = graph.node('ReduceSum', [squares, graph.ints(over)], { keepdims: keeps(call) });
  return graph.node('Div', [sum, graph.filled(count - correction, dtype)]);
}

const softmax =
  (op: string): Converter =>
  (graph, call) =>
    graph.node(op, [call.input('self')], { axis: call.dimension('dim') });

export const reductions: Converters = {
  sum: reduction('ReduceSum'),
  'sum.dim_IntList': reduction('ReduceSum'),
  mean: reduction('ReduceMean'),
  'mean.dim': reduction('ReduceMean'),
  amax: reduction('ReduceMax'),
  amin: reduction('ReduceMin'),
  max: reduction('ReduceMax'),
  min: reduction('ReduceMin'),
  'prod.dim_int': reduction('ReduceProd'),
  logsumexp: reduction('ReduceLogSumExp'),
  argmax: arg('ArgMax'),
  argmin: arg('ArgMin'),
  'max.dim': extreme('ReduceMax', 'ArgMax'),
  'min.dim': extreme('ReduceMin', 'ArgMin'),
  'var.correction': variance,
  'std.correction': (graph, call) => graph.node('Sqrt', [variance(graph, call)]),
  linalg_vector_norm: (graph, call) => {
    if (call.number('ord') !== 2) throw call.refusal('another norm than the second');
    return graph.node('ReduceL2', [call.input('self'), graph.ints(axes(call))], {
      keepdims: keeps(call),
    });
  },
  'softmax.int': softmax('Softmax'),
  'log_softmax.int': softmax('LogSoftmax'),
  cumsum: (graph, call) =>
    graph.node('CumSum', [call.input('self'), graph.ints([call.dimension('dim')], [])]),
  topk: (graph, call) =>
    graph.split('TopK', [call.input('self'), graph.ints([call.number('k')])], 2, {
      axis: call.dimension('dim'),
      largest: Number(call.flag('largest')),
      sorted: Number(call.flag('sorted')),
    }),
  'any.dim': (graph, call) => {
    const x = graph.node('Cast', [call.input('self')], { to: typeNumber('int32') });
    const most = graph.node('ReduceMax', [x, graph.ints(axes(call))], { keepdims: keeps(call) });
    return graph.node('Cast', [most], { to: typeNumber('bool') });
  },
};
