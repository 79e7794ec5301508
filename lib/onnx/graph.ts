import type { DType } from '../torch/index.js';
import type { TracedArgument, TracedCall, TracedTensor } from '../torch/trace.js';
import { OnnxError } from './errors.js';
import type { Attribute, OnnxNode, OnnxTensor } from './model-file.js';

/** The nodes and initializers of a model, as operators are put into it. Values go by name. */
export class Graph {
  readonly nodes: OnnxNode[] = [];
  readonly #initializers = new Map<string, OnnxTensor>();
  readonly #names = new Map<number, string>();
  readonly #constantNames: ReadonlyMap<number, string>;

  /** @param constantNames names of constants by the handle of their tensor, such as parameters' */
  constructor(constantNames: ReadonlyMap<number, string>) {
    this.#constantNames = constantNames;
  }

  get initializers(): OnnxTensor[] {
    const used = new Set(this.nodes.flatMap(({ inputs }) => inputs));
    return [...this.#initializers.values()].filter(({ name }) => used.has(name));
  }

  /** Gives a traced tensor a name. */
  set(tensor: TracedTensor, name: string): void {
    this.#names.set(tensor.id, name);
  }

  /** The name of a traced tensor; a constant becomes an initializer. */
  name(tensor: TracedTensor): string {
    const known = this.#names.get(tensor.id);
    if (known !== undefined) return known;
    const { constant, dtype, shape } = tensor;
    if (constant === null) throw new OnnxError(`a tensor ${dtype} [${shape}] has no origin`);
    const name = this.#constantNames.get(constant.handle) ?? `constant_${tensor.id}`;
    const { buffer, byteOffset, byteLength } = constant.values;
    this.#initializers.set(name, {
      name,
      dtype,
      shape,
      bytes: new Uint8Array(buffer, byteOffset, byteLength),
    });
    this.set(tensor, name);
    return name;
  }

  /** An initializer of whole numbers: sizes, axes. */
  ints(values: readonly number[], shape: readonly number[] = [values.length]): string {
    const name = `ints${shape.length ? '' : '_scalar'}_${values.join('_').replaceAll('-', 'm')}`;
    const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    this.#initializers.set(name, { name, dtype: 'int64', shape, bytes });
    return name;
  }

  /** An initializer that holds one number, or a list of it. */
  filled(value: number, dtype: DType, shape: readonly number[] = []): string {
    const text = String(value).replaceAll('-', 'm');
    const name = `${dtype}_${text}${shape.length ? `_${shape.join('x')}` : ''}`;
    const count = shape.reduce((product, size) => product * size, 1);
    const bytes = valueBytes(value, dtype, count);
    this.#initializers.set(name, { name, dtype, shape, bytes });
    return name;
  }

  /** Puts in a node of one output, whose name it gives. An input that is left out is ''. */
  node(op: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}): string {
    return this.split(op, inputs, 1, attributes)[0]!;
  }

  /** Puts in a node of `count` outputs. */
  split(
    op: string,
    inputs: readonly string[],
    count: number,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string[] {
    const number = this.nodes.length;
    const outputs = Array.from({ length: count }, (_, i) => (i ? `v${number}_${i}` : `v${number}`));
    this.nodes.push({ op, inputs, outputs, attributes });
    return outputs;
  }
}

const ARRAYS: Partial<Record<DType, { from(values: number[]): { buffer: ArrayBufferLike } }>> = {
  float32: Float32Array,
  float64: Float64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  bool: Uint8Array,
};

function valueBytes(value: number, dtype: DType, count: number): Uint8Array {
  if (dtype === 'int64') {
    return new Uint8Array(BigInt64Array.from(Array<bigint>(count).fill(BigInt(value))).buffer);
  }
  const array = ARRAYS[dtype];
  if (array === undefined) throw new OnnxError(`a number of type ${dtype} cannot be written`);
  return new Uint8Array(array.from(Array<number>(count).fill(value)).buffer);
}

/** A traced call's arguments by their types. */
export class Call {
  readonly result: TracedTensor;

  constructor(
    readonly graph: Graph,
    readonly traced: TracedCall,
  ) {
    this.result = traced.results[0]!;
  }

  tensor(name: string): TracedTensor {
    const value = this.argument(name);
    if (isTensor(value)) return value;
    throw this.refusal(`'${name}' is no tensor`);
  }

  /** Name of a tensor argument's value. */
  input(name: string): string {
    return this.graph.name(this.tensor(name));
  }

  /** As `input`; '' where it is left out. */
  optional(name: string): string {
    return this.argument(name) === null ? '' : this.input(name);
  }

  tensors(name: string): TracedTensor[] {
    const value = this.argument(name);
    if (Array.isArray(value) && value.every(isTensor)) return value;
    throw this.refusal(`'${name}' is no list of tensors`);
  }

  number(name: string): number {
    const value = this.argument(name);
    if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
      return Number(value);
    }
    throw this.refusal(`'${name}' is no number`);
  }

  ints(name: string): number[] {
    const value = this.argument(name);
    const list = Array.isArray(value) ? value : [value];
    if (list.every((each) => typeof each === 'number')) return list as number[];
    throw this.refusal(`'${name}' is no list of integers`);
  }

  flag(name: string): boolean {
    return this.argument(name) === true;
  }

  isLeftOut(name: string): boolean {
    return this.argument(name) === null;
  }

  argument(name: string): TracedArgument {
    const { args, operator } = this.traced;
    if (Object.hasOwn(args, name)) return args[name]!;
    throw new OnnxError(`${operator} has no argument '${name}'`);
  }

  /** A dimension counted from the front, of the tensor `of`. */
  dimension(name: string, of: TracedTensor = this.tensor('self')): number {
    const value = this.number(name);
    return value < 0 ? value + of.shape.length : value;
  }

  refusal(reason: string): OnnxError {
    return new OnnxError(
      `${this.traced.operator}: ${reason}, which has no form in ONNX that m3l knows. ` +
        'Write the model with other operators, or add the form in lib/onnx/operators.',
    );
  }
}

export function isTensor(value: TracedArgument): value is TracedTensor {
  return typeof value === 'object' && value !== null && 'id' in value;
}

/** Puts an operator's nodes into the graph, and gives the names of its results. */
export type Converter = (graph: Graph, call: Call) => string | readonly string[];
export type Converters = Readonly<Record<string, Converter>>;
