/** ONNX models as bytes: the messages of onnx.proto3 that a graph of operators needs, by their numbers. */
import { PbfWriter } from 'pbf';
import type { DType } from '../torch/index.js';
import { OnnxError } from './errors.js';

/** What a node is told beside its inputs. A whole number of a float attribute is given as `{ float }`. */
export type Attribute = number | { float: number } | string | readonly number[];

export interface OnnxNode {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Readonly<Record<string, Attribute>>;
}

export interface OnnxValue {
  name: string;
  dtype: DType;
  /** A name where the dimension is free. */
  shape: readonly (number | string)[];
}

export interface OnnxTensor extends OnnxValue {
  shape: readonly number[];
  /** Row-major, little-endian. */
  bytes: Uint8Array;
}

export interface OnnxModel {
  opset: number;
  name: string;
  nodes: readonly OnnxNode[];
  initializers: readonly OnnxTensor[];
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
  metadata: Readonly<Record<string, string>>;
}

/** TensorProto.DataType */
const TYPES: Partial<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

/**
 * The number of an element type in ONNX.
 * @throws OnnxError M3L_ONNX where it has none
 */
export function typeNumber(dtype: DType): number {
  const number = TYPES[dtype];
  if (number !== undefined) return number;
  throw new OnnxError(`ONNX has no ${dtype}; expected one of ${Object.keys(TYPES).join(', ')}`);
}

/** The IR version that came with opset 18. */
const IR_VERSION = 8;
/** AttributeProto.AttributeType */
const KINDS = { float: 1, int: 2, string: 3, ints: 7 };

/** A model's bytes (ModelProto). */
export function modelBytes(model: OnnxModel): Uint8Array {
  const pbf = new PbfWriter();
  pbf.writeVarintField(1, IR_VERSION);
  pbf.writeStringField(2, 'm3l');
  pbf.writeMessage(7, writeGraph, model);
  pbf.writeMessage(8, writeOpset, model.opset);
  for (const pair of Object.entries(model.metadata)) pbf.writeMessage(14, writePair, pair);
  return pbf.finish();
}

function writeOpset(version: number, pbf: PbfWriter): void {
  pbf.writeStringField(1, '');
  pbf.writeVarintField(2, version);
}

function writePair([key, value]: [string, string], pbf: PbfWriter): void {
  pbf.writeStringField(1, key);
  pbf.writeStringField(2, value);
}

function writeGraph(
  { nodes, name, initializers, inputs, outputs }: OnnxModel,
  pbf: PbfWriter,
): void {
  for (const node of nodes) pbf.writeMessage(1, writeNode, node);
  pbf.writeStringField(2, name);
  for (const tensor of initializers) pbf.writeMessage(5, writeTensor, tensor);
  for (const input of inputs) pbf.writeMessage(11, writeValue, input);
  for (const output of outputs) pbf.writeMessage(12, writeValue, output);
}

function writeNode({ op, inputs, outputs, attributes }: OnnxNode, pbf: PbfWriter): void {
  for (const input of inputs) pbf.writeStringField(1, input);
  for (const output of outputs) pbf.writeStringField(2, output);
  pbf.writeStringField(3, `${op}_${outputs[0]}`);
  pbf.writeStringField(4, op);
  for (const attribute of Object.entries(attributes))
    pbf.writeMessage(5, writeAttribute, attribute);
}

function writeAttribute([name, value]: [string, Attribute], pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  if (typeof value === 'number') {
    pbf.writeVarintField(3, value);
    pbf.writeVarintField(20, KINDS.int);
  } else if (typeof value === 'string') {
    pbf.writeBytesField(4, Buffer.from(value));
    pbf.writeVarintField(20, KINDS.string);
  } else if ('float' in value) {
    pbf.writeFloatField(2, value.float);
    pbf.writeVarintField(20, KINDS.float);
  } else {
    for (const each of value) pbf.writeVarintField(8, each);
    pbf.writeVarintField(20, KINDS.ints);
  }
}

function writeTensor({ name, dtype, shape, bytes }: OnnxTensor, pbf: PbfWriter): void {
  for (const size of shape) pbf.writeVarintField(1, size);
  pbf.writeVarintField(2, typeNumber(dtype));
  pbf.writeStringField(8, name);
  pbf.writeBytesField(9, bytes);
}

function writeValue({ name, dtype, shape }: OnnxValue, pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  pbf.writeMessage(2, writeType, { dtype, shape });
}

type TensorType = Pick<OnnxValue, 'dtype' | 'shape'>;

function writeType(type: TensorType, pbf: PbfWriter): void {
  pbf.writeMessage(1, writeTensorType, type);
}

function writeTensorType({ dtype, shape }: TensorType, pbf: PbfWriter): void {
  pbf.writeVarintField(1, typeNumber(dtype));
  pbf.writeMessage(2, writeShape, shape);
}

function writeShape(shape: OnnxValue['shape'], pbf: PbfWriter): void {
  for (const size of shape) pbf.writeMessage(1, writeDimension, size);
}

function writeDimension(size: number | string, pbf: PbfWriter): void {
  if (typeof size === 'number') pbf.writeVarintField(1, size);
  else pbf.writeStringField(2, size);
}
