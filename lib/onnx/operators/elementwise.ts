import type { DType } from '../../torch/index.js';
import type { TracedTensor } from '../../torch/trace.js';
import { type Call, type Converter, type Converters, type Graph, isTensor } from '../graph.js';
import { typeNumber } from '../model-file.js';

/** A value in another element type; itself where it has that. */
export function cast(graph: Graph, name: string, from: DType, to: DType): string {
  return from === to ? name : graph.node('Cast', [name], { to: typeNumber(to) });
}

/** An operand, a tensor or a number, in an element type. */
function operand(graph: Graph, call: Call, name: string, dtype: DType): string {
  const value = call.argument(name);
  if (isTensor(value)) return cast(graph, graph.name(value), value.dtype, dtype);
  return graph.filled(call.number(name), dtype);
}

/** What two operands are computed in: the type of the tensors, after promotion. */
function common(graph: Graph, call: Call, [a, b]: readonly [string, string], dtype: DType) {
  return [operand(graph, call, a, dtype), operand(graph, call, b, dtype)] as const;
}

const unary =
  (op: string): Converter =>
  (graph, call) => {
    const self = call.tensor('self');
    return graph.node(op, [cast(graph, graph.name(self), self.dtype, call.result.dtype)]);
  };

const binary =
  (op: string): Converter =>
  (graph, call) =>
    graph.node(op, common(graph, call, ['self', 'other'], call.result.dtype));

/** self ± alpha · other */
const scaled =
  (op: 'Add' | 'Sub'): Converter =>
  (graph, call) => {
    const { dtype } = call.result;
    const [self, other] = common(graph, call, ['self', 'other'], dtype);
    const alpha = call.number('alpha');
    const second = alpha === 1 ? other : graph.node('Mul', [other, graph.filled(alpha, dtype)]);
    return graph.node(op, [self, second]);
  };

const comparison =
  (op: string, negated = false): Converter =>
  (graph, call) => {
    const self = call.tensor('self');
    const other = call.argument('other');
    const dtype = promoted(self, isTensor(other) ? other : null);
    const compared = graph.node(op, common(graph, call, ['self', 'other'], dtype));
    return negated ? graph.node('Not', [compared]) : compared;
  };

/** The type that two tensors are compared in. */
function promoted(a: TracedTensor, b: TracedTensor | null): DType {
  if (b === null || a.dtype === b.dtype) return a.dtype;
  const isFloating = (dtype: DType) => dtype.includes('float');
  return isFloating(a.dtype) ? a.dtype : b.dtype;
}

/** x · ½ · (1 + erf(x / √2)); opset 18 has no operator of that name. */
export function gelu(graph: Graph, x: string, dtype: DType): string {
  const number = (value: number) => graph.filled(value, dtype);
  const erf = graph.node('Erf', [graph.node('Mul', [x, number(Math.SQRT1_2)])]);
  const half = graph.node('Mul', [x, number(0.5)]);
  return graph.node('Mul', [half, graph.node('Add', [erf, number(1)])]);
}

/** x · ½ · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) */
function geluTanh(graph: Graph, x: string, dtype: DType): string {
  const number = (value: number) => graph.filled(value, dtype);
  const cube = graph.node('Mul', [graph.node('Mul', [x, x]), x]);
  const sum = graph.node('Add', [x, graph.node('Mul', [cube, number(0.044715)])]);
  const tanh = graph.node('Tanh', [graph.node('Mul', [sum, number(Math.sqrt(2 / Math.PI))])]);
  const half = graph.node('Mul', [x, number(0.5)]);
  return graph.node('Mul', [half, graph.node('Add', [tanh, number(1)])]);
}

const identity: Converter = (graph, call) => graph.node('Identity', [call.input('self')]);

/** With `min` and `max`, each of which may be left out. */
const clamp: Converter = (graph, call) => {
  const self = call.tensor('self');
  const { dtype } = call.result;
  const bound = (name: string) =>
    call.isLeftOut(name) ? '' : graph.filled(call.number(name), dtype);
  const x = cast(graph, graph.name(self), self.dtype, dtype);
  return graph.node('Clip', [x, bound('min'), bound('max')]);
};

const to: Converter = (graph, call) => {
  const self = call.tensor('self');
  const same = self.dtype === call.result.dtype;
  return same
    ? graph.node('Identity', [graph.name(self)])
    : cast(graph, graph.name(self), self.dtype, call.result.dtype);
};

const UNARY = {
  abs: 'Abs',
  acos: 'Acos',
  asin: 'Asin',
  atan: 'Atan',
  ceil: 'Ceil',
  cos: 'Cos',
  erf: 'Erf',
  exp: 'Exp',
  floor: 'Floor',
  log: 'Log',
  neg: 'Neg',
  reciprocal: 'Reciprocal',
  relu: 'Relu',
  round: 'Round',
  sigmoid: 'Sigmoid',
  sign: 'Sign',
  sin: 'Sin',
  sqrt: 'Sqrt',
  tan: 'Tan',
  tanh: 'Tanh',
  mish: 'Mish',
  isnan: 'IsNaN',
  isinf: 'IsInf',
  logical_not: 'Not',
  bitwise_not: 'Not',
};
const BINARY = {
  maximum: 'Max',
  minimum: 'Min',
  'max.other': 'Max',
  'min.other': 'Min',
};
const COMPARISONS = {
  eq: 'Equal',
  gt: 'Greater',
  ge: 'GreaterOrEqual',
  lt: 'Less',
  le: 'LessOrEqual',
};
const LOGIC = { logical_and: 'And', logical_or: 'Or', logical_xor: 'Xor' };

const logic =
  (op: string): Converter =>
  (graph, call) =>
    graph.node(op, common(graph, call, ['self', 'other'], 'bool'));

const either = (name: string, converter: Converter): Converters => ({
  [`${name}.Tensor`]: converter,
  [`${name}.Scalar`]: converter,
});

const divide: Converter = (graph, call) =>
  graph.node('Div', common(graph, call, ['self', 'other'], call.result.dtype));

/** Operators that make each element of those at its place. */
export const elementwise: Converters = {
  ...Object.fromEntries(
    Object.entries(UNARY).map(([name, op]) => [
      name,
      op.startsWith('Is') ? (graph, call) => graph.node(op, [call.input('self')]) : unary(op),
    ]),
  ),
  ...Object.fromEntries(Object.entries(BINARY).map(([name, op]) => [name, binary(op)])),
  ...either('mul', binary('Mul')),
  ...either('div', divide),
  ...either('add', scaled('Add')),
  ...either('sub', scaled('Sub')),
  ...Object.fromEntries(
    Object.entries(COMPARISONS).flatMap(([name, op]) =>
      Object.entries(either(name, comparison(op))),
    ),
  ),
  ...either('ne', comparison('Equal', true)),
  ...Object.fromEntries(Object.entries(LOGIC).map(([name, op]) => [name, logic(op)])),
  'rsub.Scalar': (graph, call) =>
    graph.node('Sub', common(graph, call, ['other', 'self'], call.result.dtype)),
  'pow.Tensor_Scalar': (graph, call) =>
    graph.node('Pow', common(graph, call, ['self', 'exponent'], call.result.dtype)),
  'pow.Tensor_Tensor': (graph, call) =>
    graph.node('Pow', common(graph, call, ['self', 'exponent'], call.result.dtype)),
  square: (graph, call) => graph.node('Mul', [call.input('self'), call.input('self')]),
  rsqrt: (graph, call) => graph.node('Reciprocal', [graph.node('Sqrt', [call.input('self')])]),
  silu: (graph, call) => {
    const x = call.input('self');
    return graph.node('Mul', [x, graph.node('Sigmoid', [x])]);
  },
  gelu: (graph, call) => {
    const form = call.argument('approximate') === 'tanh' ? geluTanh : gelu;
    return form(graph, call.input('self'), call.result.dtype);
  },
  hardswish: (graph, call) => graph.node('HardSwish', [call.input('self')]),
  hardsigmoid: (graph, call) =>
    graph.node('HardSigmoid', [call.input('self')], {
      alpha: { float: 1 / 6 },
      beta: { float: 0.5 },
    }),
  leaky_relu: (graph, call) =>
    graph.node('LeakyRelu', [call.input('self')], {
      alpha: { float: call.number('negative_slope') },
    }),
  elu: (graph, call) => {
    if (call.number('scale') !== 1 || call.number('input_scale') !== 1) {
      throw call.refusal('with a scale');
    }
    return graph.node('Elu', [call.input('self')], { alpha: { float: call.number('alpha') } });
  },
  softplus: (graph, call) => {
    if (call.number('beta') !== 1) throw call.refusal('with a beta');
    return graph.node('Softplus', [call.input('self')]);
  },
  clamp,
  hardtanh: (graph, call) => {
    const bound = (name: string) => graph.filled(call.number(name), call.result.dtype);
    return graph.node('Clip', [call.input('self'), bound('min_val'), bound('max_val')]);
  },
  relu6: (graph, call) => {
    const bound = (value: number) => graph.filled(value, call.result.dtype);
    return graph.node('Clip', [call.input('self'), bound(0), bound(6)]);
  },
  clamp_min: (graph, call) =>
    graph.node('Clip', [
      call.input('self'),
      graph.filled(call.number('min'), call.result.dtype),
      '',
    ]),
  'where.self': (graph, call) => {
    const values = common(graph, call, ['self', 'other'], call.result.dtype);
    return graph.node('Where', [call.input('condition'), ...values]);
  },
  'masked_fill.Scalar': (graph, call) =>
    graph.node('Where', [
      call.input('mask'),
      graph.filled(call.number('value'), call.result.dtype),
      call.input('self'),
    ]),
  'to.dtype_layout': to,
  detach: identity,
  clone: identity,
  contiguous: identity,
  alias: identity,
  dropout: (graph, call) => withoutDropout(graph, call),
  feature_dropout: (graph, call) => withoutDropout(graph, call),
};

function withoutDropout(graph: Graph, call: Call): string {
  if (call.flag('train')) throw call.refusal('in training: put the model into evaluation mode');
  return graph.node('Identity', [call.input('input')]);
}
