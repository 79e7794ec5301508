import { checkArguments } from '../check-arguments.js';
import { tensor as tensorOf } from '../creation.js';
import { ArgumentError, describe } from '../errors.js';
import { empty } from '../generated/functions.js';
import { index, oneOf, tensor as tensorRule } from '../rules.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { call } from './operators.js';
import { NumberedWork, type Work } from './work.js';

/** What all ranks' values become: their sum, their mean, the least, the greatest, their product. */
export type ReduceOperation = 'sum' | 'mean' | 'min' | 'max' | 'product';

/** A value that JSON can say. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

const operationRule = oneOf('sum', 'mean', 'min', 'max', 'product');

/**
 * The processes that compute together. Every rank calls the same collectives in the same order, with
 * tensors of one dtype and shape; they may lie in memory in any way. A collective that fails, or whose
 * peer is lost, leaves the group of no use: the processes end, and start anew from a checkpoint.
 */
export class ProcessGroup {
  /** `name`: by which libtorch's functional collectives (torch.ops._c10d_functional) take it. */
  constructor(
    readonly rank: number,
    readonly worldSize: number,
    readonly backend: string,
    readonly checkCollectives: boolean,
    readonly name = 'default',
  ) {}

  /** The sum (or mean, …) over all ranks, in place of the tensor's values. */
  allReduce(tensor: Tensor, operation: ReduceOperation = 'sum'): void {
    this.allReduceAsync(tensor, operation).wait();
  }

  /** The same, begun: the tensor holds the result once the work was waited for. */
  allReduceAsync(tensor: Tensor, operation: ReduceOperation = 'sum'): Work {
    const rules = { tensor: tensorRule, operation: operationRule };
    checkArguments('allReduce', { tensor, operation }, rules);
    return begun('all_reduce_', tensor, operation, this.checkCollectives);
  }

  /** The values of rank `source`, in place of the tensor's, in all ranks. */
  broadcast(tensor: Tensor, source = 0): void {
    checkArguments('broadcast', { tensor, source }, { tensor: tensorRule, source: index });
    begun('broadcast_', tensor, source, this.checkCollectives).wait();
  }

  /** The tensors of all ranks, by rank. */
  allGather(tensor: Tensor): Tensor[] {
    checkArguments('allGather', { tensor }, { tensor: tensorRule });
    const { dtype, device } = tensor;
    const output = empty([this.worldSize, ...tensor.shape], { dtype, device });
    try {
      begun('all_gather', tensor, output, this.checkCollectives).wait();
      return Array.from({ length: this.worldSize }, (_, rank) => output.select(0, rank));
    } finally {
      output.dispose();
    }
  }

  /**
   * Of the sum (or mean, …) over all ranks this rank's part: [worldSize · n, …] becomes [n, …].
   * @throws ArgumentError where the first dimension is no multiple of the ranks
   */
  reduceScatter(tensor: Tensor, operation: ReduceOperation = 'sum'): Tensor {
    const rules = { tensor: tensorRule, operation: operationRule };
    checkArguments('reduceScatter', { tensor, operation }, rules);
    const { dtype, device } = tensor;
    const [rows, ...rest] = tensor.shape;
    if (rows === undefined || rows % this.worldSize !== 0) {
      throw new ArgumentError(
        `reduceScatter: found the shape [${tensor.shape}], expected a first dimension that is a ` +
          `multiple of the ${this.worldSize} ranks`,
      );
    }
    const output = empty([rows / this.worldSize, ...rest], { dtype, device });
    try {
      begun('reduce_scatter', tensor, output, operation, this.checkCollectives).wait();
      return output;
    } catch (error) {
      output.dispose();
      throw error;
    }
  }

  /** Waits until all ranks have come here. */
  barrier(): void {
    call('barrier');
  }

  /** The values of all ranks, by rank. */
  allGatherObject(value: JsonValue): JsonValue[] {
    return scope(() => {
      const bytes = bytesOf(value, 'allGatherObject');
      const sizes = this.allGather(tensorOf([bytes.length], { dtype: 'int64' }));
      const lengths = sizes.map((size) => size.item());
      const padded = new Uint8Array(Math.max(...lengths));
      padded.set(bytes);
      const gathered = this.allGather(tensorOf(padded));
      return gathered.map((one, rank) => jsonIn(one, lengths[rank]!));
    });
  }

  /** The value of rank `source`; the other ranks' own are not looked at. */
  broadcastObject(value: JsonValue, source = 0): JsonValue {
    return scope(() => {
      const mine = this.rank === source;
      const bytes = mine ? bytesOf(value, 'broadcastObject') : new Uint8Array(0);
      const size = tensorOf([bytes.length], { dtype: 'int64' });
      this.broadcast(size, source);
      const sent = tensorOf(mine ? bytes : new Uint8Array(size.item()));
      this.broadcast(sent, source);
      return jsonIn(sent, size.item());
    });
  }
}

/** What an operator begins, by its name. */
export function begun(operator: string, ...args: unknown[]): Work {
  return new NumberedWork(call(operator, ...args) as number);
}

function bytesOf(value: unknown, where: string): Uint8Array {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new ArgumentError(`${where}: JSON cannot say the value: ${(error as Error).message}`);
  }
  if (text !== undefined) return new TextEncoder().encode(text);
  throw new ArgumentError(`${where}: found ${describe(value)}, expected a value that JSON can say`);
}

function jsonIn(bytes: Tensor, length: number): JsonValue {
  const view = bytes.toTypedArray() as Uint8Array;
  return JSON.parse(new TextDecoder().decode(view.subarray(0, length))) as JsonValue;
}
