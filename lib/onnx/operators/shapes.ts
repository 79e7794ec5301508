import type { TracedTensor } from '../../torch/trace.js';
import type { Call, Converter, Converters, Graph } from '../graph.js';
import { cast } from './elementwise.js';

const FAR = Number.MAX_SAFE_INTEGER;

/** A tensor in the shape that the result had when it was traced. */
export function reshape(graph: Graph, name: string, shape: readonly number[]): string {
  return graph.node('Reshape', [name, graph.ints(shape)]);
}

export function transpose(graph: Graph, name: string, perm: readonly number[]): string {
  return graph.node('Transpose', [name], { perm });
}

/** Part of a dimension. */
export function slice(
  graph: Graph,
  name: string,
  [axis, start, end, step = 1]: readonly [number, number, number, number?],
): string {
  const ints = (value: number) => graph.ints([value]);
  return graph.node('Slice', [name, ints(start), ints(end), ints(axis), ints(step)]);
}

/** What only gives the same elements another shape. */
const reshaped: Converter = (graph, call) => reshape(graph, call.input('self'), call.result.shape);

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

function swapped(self: TracedTensor, a: number, b: number): number[] {
  const perm = range(self.shape.length);
  [perm[a], perm[b]] = [b, a];
  return perm;
}

const pieces: Converter = (graph, call) => {
  const axis = call.dimension('dim');
  const sizes = call.traced.results.map(({ shape }) => shape[axis]!);
  return graph.split('Split', [call.input('self'), graph.ints(sizes)], sizes.length, { axis });
};

function joined(graph: Graph, call: Call): string[] {
  const { dtype } = call.result;
  return call.tensors('tensors').map((each) => cast(graph, graph.name(each), each.dtype, dtype));
}

export const shapes: Converters = {
  view: reshaped,
  reshape: reshaped,
  view_as: reshaped,
  'flatten.using_ints': reshaped,
  'unflatten.int': reshaped,
  unsqueeze: reshaped,
  squeeze: reshaped,
  'squeeze.dim': reshaped,
  'squeeze.dims': reshaped,
  permute: (graph, call) => {
    const rank = call.tensor('self').shape.length;
    const perm = call.ints('dims').map((dim) => (dim < 0 ? dim + rank : dim));
    return transpose(graph, call.input('self'), perm);
  },
  'transpose.int': (graph, call) => {
    const self = call.tensor('self');
    const [a, b] = [call.dimension('dim0'), call.dimension('dim1')];
    return transpose(graph, graph.name(self), swapped(self, a, b));
  },
  t: (graph, call) => transpose(graph, call.input('self'), [1, 0]),
  expand: (graph, call) =>
    graph.node('Expand', [call.input('self'), graph.ints(call.result.shape)]),
  expand_as: (graph, call) =>
    graph.node('Expand', [call.input('self'), graph.ints(call.result.shape)]),
  repeat: (graph, call) => {
    const repeats = call.ints('repeats');
    const { shape } = call.tensor('self');
    const padded = [...Array<number>(repeats.length - shape.length).fill(1), ...shape];
    const lifted = reshape(graph, call.input('self'), padded);
    return graph.node('Tile', [lifted, graph.ints(repeats)]);
  },
  cat: (graph, call) =>
    graph.node('Concat', joined(graph, call), { axis: call.dimension('dim', call.result) }),
  stack: (graph, call) => {
    const axis = call.dimension('dim', call.result);
    const lifted = joined(graph, call).map((name) =>
      graph.node('Unsqueeze', [name, graph.ints([axis])]),
    );
    return graph.node('Concat', lifted, { axis });
  },
  narrow: (graph, call) => {
    const axis = call.dimension('dim');
    const start = call.number('start');
    return slice(graph, call.input('self'), [axis, start, start + call.number('length')]);
  },
  'slice.Tensor': (graph, call) => {
    const start = call.isLeftOut('start') ? 0 : call.number('start');
    const end = call.isLeftOut('end') ? FAR : call.number('end');
    const step = call.number('step');
    return slice(graph, call.input('self'), [call.dimension('dim'), start, end, step]);
  },
  'select.int': (graph, call) =>
    graph.node('Gather', [call.input('self'), graph.ints([call.number('index')], [])], {
      axis: call.dimension('dim'),
    }),
  'unbind.int': (graph, call) => {
    const axis = call.dimension('dim');
    return range(call.tensor('self').shape[axis]!).map((index) =>
      graph.node('Gather', [call.input('self'), graph.ints([index], [])], { axis }),
    );
  },
  'split.Tensor': pieces,
  'split.sizes': pieces,
  split_with_sizes: pieces,
  chunk: pieces,
  flip: (graph, call) =>
    call
      .ints('dims')
      .map((dim) => (dim < 0 ? dim + call.result.shape.length : dim))
      .reduce((name, axis) => slice(graph, name, [axis, -1, -FAR, -1]), call.input('self')),
  pad: (graph, call) => {
    const pad = call.ints('pad');
    const rank = call.result.shape.length;
    const at = (side: number) => range(rank).map((axis) => pad[2 * (rank - 1 - axis) + side] ?? 0);
    const pads = graph.ints([...at(0), ...at(1)]);
    const mode = { constant: 'constant', reflect: 'reflect', replicate: 'edge', circular: 'wrap' }[
      call.argument('mode') as string
    ];
    if (mode === undefined || mode === 'wrap') throw call.refusal(`with mode ${mode}`);
    const value = call.isLeftOut('value') ? 0 : call.number('value');
    const fill = mode === 'constant' ? [graph.filled(value, call.result.dtype)] : [];
    return graph.node('Pad', [call.input('self'), pads, ...fill], { mode });
  },
  index_select: (graph, call) =>
    graph.node('Gather', [call.input('self'), call.input('index')], {
      axis: call.dimension('dim'),
    }),
};
