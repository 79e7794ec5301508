import type * as nn from '../nn/index.js';
import { writeFileAtomic } from '../torch/atomic-write.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { type Trace, trace } from '../torch/trace.js';
import { OnnxError } from './errors.js';
import { Call, Graph } from './graph.js';
import { modelBytes } from './model-file.js';
import { converterOf } from './operators/registry.js';

/** The version of ONNX's operators that models are written in. */
export const ONNX_OPSET = 18;

/** What `onnxModel` and `saveOnnx` take by name. */
export interface OnnxOptions {
  /** Whose parameters and buffers keep their names; must be in evaluation mode. */
  model?: nn.Module;
  /** A name for each output; `output0`, `output1`, … by default. */
  outputs?: readonly string[];
  /** Of the graph; `m3l` by default. */
  name?: string;
  /** Kept in the file. */
  metadata?: Readonly<Record<string, string>>;
}

/** What was written. */
export interface OnnxSummary {
  opset: number;
  nodes: number;
  bytes: number;
  /** How often each of libtorch's operators was called on what depends on the inputs. */
  operators: Record<string, number>;
  inputs: Record<string, readonly number[]>;
  outputs: Record<string, readonly number[]>;
}

const onnxRules = {
  fn: is.callback,
  inputs: is.recordOf(is.tensor),
  options: is.shape('options', {
    model: is.maybe(is.shape('Module', { modules: is.callback, namedParameters: is.callback })),
    outputs: is.maybe(is.listOf(is.text)),
    name: is.maybe(is.text),
    metadata: is.maybe(is.recordOf(is.text)),
  }),
};

/**
 * The ONNX model (opset 18) of what `fn` computes of example inputs: its operators are traced, and every
 * size is that of the examples. Runs `fn` once, without gradients.
 *
 * ```ts
 * model.eval();
 * const bytes = onnxModel(({ image }) => [model.forward(image)], { image }, { model }).bytes;
 * ```
 *
 * @param fn gives the outputs; reads no values of tensors
 * @param inputs examples by name, CPU or CUDA
 * @throws OnnxError M3L_ONNX where an operator has no form in ONNX, or the model is in training;
 *   M3lError M3L_TRACE
 */
export function onnxModel<Name extends string>(
  fn: (inputs: Record<Name, Tensor>) => readonly Tensor[],
  inputs: Readonly<Record<Name, Tensor>>,
  options: OnnxOptions = {},
): { bytes: Uint8Array; summary: OnnxSummary } {
  checkArguments('onnxModel', { fn, inputs, options }, onnxRules);
  const { model, name = 'm3l', metadata = {} } = options;
  const training = model && [...model.modules()].find((each) => each.training);
  if (training) {
    throw new OnnxError(
      `${training.constructor.name} is in training, expected evaluation mode: call model.eval()`,
    );
  }
  const names = Object.keys(inputs) as Name[];
  const state = model ? [...model.namedParameters(), ...model.namedBuffers()] : [];
  const graph = new Graph(new Map(state.map(([key, tensor]) => [tensor.handle, key])));
  return torch.scope(() => {
    const given = names.map((each) => inputs[each]);
    const traced = torch.noGrad(() =>
      trace(
        (tensors) =>
          fn(Object.fromEntries(names.map((key, i) => [key, tensors[i]])) as Record<Name, Tensor>),
        given,
      ),
    );
    for (const [i, input] of traced.inputs.entries()) graph.set(input, names[i]!);
    for (const call of traced.calls) put(graph, call);
    const outputs = nameOutputs(graph, traced, options.outputs);
    requireDistinct([...names, ...outputs]);
    const values = (list: Trace['inputs'], of: readonly string[]) =>
      list.map(({ dtype, shape }, i) => ({ name: of[i]!, dtype, shape }));
    const bytes = modelBytes({
      opset: ONNX_OPSET,
      name,
      nodes: graph.nodes,
      initializers: graph.initializers,
      inputs: values(traced.inputs, names),
      outputs: values(traced.outputs, outputs),
      metadata,
    });
    const shapes = (list: Trace['inputs'], of: readonly string[]) =>
      Object.fromEntries(list.map(({ shape }, i) => [of[i]!, shape]));
    const summary = {
      opset: ONNX_OPSET,
      nodes: graph.nodes.length,
      bytes: bytes.length,
      operators: counted(traced.calls.map(({ operator }) => operator)),
      inputs: shapes(traced.inputs, names),
      outputs: shapes(traced.outputs, outputs),
    };
    return { bytes, summary };
  });
}

/** As {@link onnxModel}, into a file. */
export function saveOnnx<Name extends string>(
  path: string,
  fn: (inputs: Record<Name, Tensor>) => readonly Tensor[],
  inputs: Readonly<Record<Name, Tensor>>,
  options: OnnxOptions = {},
): OnnxSummary {
  checkArguments('saveOnnx', { path, fn, inputs, options }, { path: is.text, ...onnxRules });
  const { bytes, summary } = onnxModel(fn, inputs, options);
  writeFileAtomic(path, bytes);
  return summary;
}

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function put(graph: Graph, traced: Trace['calls'][number]): void {
  const converter = converterOf(traced.operator);
  const call = new Call(graph, traced);
  if (converter === undefined) throw call.refusal('the operator');
  const made = converter(graph, call);
  const outputs = typeof made === 'string' ? [made] : made;
  for (const [i, result] of traced.results.entries()) {
    // A pool's indices, say, which nothing asks for.
    const name = outputs[i];
    if (name !== undefined) graph.set(result, name);
  }
}

/** Gives each output its name, by a node of its own: one value may be asked for twice. */
function nameOutputs(graph: Graph, { outputs }: Trace, given?: readonly string[]): string[] {
  if (given !== undefined && given.length !== outputs.length) {
    throw new OnnxError(`${given.length} names for ${outputs.length} outputs`);
  }
  return outputs.map((output, i) => {
    const name = given?.[i] ?? `output${i}`;
    graph.nodes.push({
      op: 'Identity',
      inputs: [graph.name(output)],
      outputs: [name],
      attributes: {},
    });
    return name;
  });
}

function requireDistinct(names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return;
  throw new OnnxError(
    `'${twice}' names two of the inputs and outputs ${names.join(', ')}; each needs its own`,
  );
}
