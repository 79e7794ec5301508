/**
 * A reader of pickles that builds plain values and executes nothing: a pickle is a program for a stack
 * machine, and its two instructions that call something reach only what the host hands out.
 * https://docs.python.org/3/library/pickletools.html
 */
import type { M3lError } from '../errors.js';
import { PyDict, PyList, PySet, PyTuple } from './pickle-values.js';

/** A class or function that a pickle may name, and call where it has `call`: what that gives is data. */
export interface PyGlobal {
  readonly pyName: string;
  readonly call?: (args: readonly unknown[]) => unknown;
}

/** A value that takes its state after it was made (`__setstate__`). */
export interface Buildable {
  build(state: unknown): void;
}

/** What the machine reaches of the world around it. */
export interface PickleHost {
  /** The value or PyGlobal of a name; throws for names that are not allowed. */
  global(module: string, name: string): unknown;
  /** The object that lies outside the pickle, such as a storage. */
  persistent(id: unknown): unknown;
  fail(reason: string): M3lError;
  /** How many values the size of the file justifies. */
  readonly mostValues: number;
}

/** The bytes end before the pickle does: more of them may help. */
export class PickleEnded extends Error {}

/** Of numbers: 1 KiB of digits is no number of a checkpoint. */
const LONGEST_NUMBER = 1024;
const MOST_INSTRUCTIONS = 2 ** 26;
const NEWEST_PROTOCOL = 5;

/** Reads the pickle that starts at `start`; gives its value and where it ends. */
export function readPickle(
  bytes: Uint8Array,
  start: number,
  host: PickleHost,
): { value: unknown; end: number } {
  return new Machine(bytes, start, host).run();
}

class Machine {
  readonly #bytes: Buffer;
  readonly #host: PickleHost;
  readonly #memo = new Map<number, unknown>();
  readonly #marks: number[] = [];
  readonly #stack: unknown[] = [];
  #at: number;
  #values = 0;

  constructor(bytes: Uint8Array, start: number, host: PickleHost) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = start;
    this.#host = host;
  }

  run(): { value: unknown; end: number } {
    for (let count = 0; count < MOST_INSTRUCTIONS; count++) {
      const code = this.#bytes[this.#skip(1)]!;
      if (code === 0x2e) return { value: this.#pop(), end: this.#at };
      const instruction = instructions[code];
      if (instruction === undefined) throw this.#host.fail(unknownInstruction(code));
      instruction(this);
    }
    throw this.#host.fail(`its pickle has more than ${MOST_INSTRUCTIONS} instructions`);
  }

  /** Where `count` bytes lie that are now read. */
  #skip(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw new PickleEnded();
    this.#at += count;
    return at;
  }

  byte(): number {
    return this.#bytes[this.#skip(1)]!;
  }

  uint16(): number {
    return this.#bytes.readUInt16LE(this.#skip(2));
  }

  int32(): number {
    return this.#bytes.readInt32LE(this.#skip(4));
  }

  uint32(): number {
    return this.#bytes.readUInt32LE(this.#skip(4));
  }

  uint64(): number {
    return Number(this.#bytes.readBigUInt64LE(this.#skip(8)));
  }

  double(): number {
    return this.#bytes.readDoubleBE(this.#skip(8));
  }

  text(length: number): string {
    const at = this.#skip(length);
    return this.#bytes.toString('utf8', at, at + length);
  }

  bytes(length: number): Uint8Array {
    const at = this.#skip(length);
    return Uint8Array.prototype.slice.call(this.#bytes, at, at + length);
  }

  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw new PickleEnded();
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  /** A little-endian number of so many bytes; a bigint where JavaScript's numbers do not hold it. */
  long(length: number): number | bigint {
    if (length > LONGEST_NUMBER) throw this.#host.fail(`it holds a number of ${length} bytes`);
    const digits = Buffer.from(this.bytes(length)).reverse().toString('hex');
    if (digits === '') return 0;
    const value = BigInt.asIntN(8 * length, BigInt(`0x${digits}`));
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  /** As `push`, of what takes memory of its own. */
  pushNew(value: unknown): void {
    this.#values += 1;
    if (this.#values > this.#host.mostValues) {
      throw this.#host.fail(
        `it holds more than ${this.#host.mostValues} values, which its size forbids`,
      );
    }
    this.#stack.push(value);
  }

  #pop(): unknown {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length <= floor) throw this.#host.fail('its pickle takes from an empty stack');
    return this.#stack.pop();
  }

  pop(): unknown {
    return this.#pop();
  }

  top(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) {
      throw this.#host.fail('its pickle looks at an empty stack');
    }
    return this.#stack.at(-1);
  }

  mark(): void {
    this.#marks.push(this.#stack.length);
  }

  popMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#host.fail('its pickle lacks a mark');
    return this.#stack.splice(mark);
  }

  memorize(index: number): void {
    this.#memo.set(index, this.top());
  }

  memorizeNext(): void {
    this.#memo.set(this.#memo.size, this.top());
  }

  recall(index: number): void {
    if (!this.#memo.has(index))
      throw this.#host.fail(`its pickle recalls ${index}, which it never kept`);
    this.#stack.push(this.#memo.get(index));
  }

  tuple(count: number): void {
    const items: unknown[] = [];
    for (let i = 0; i < count; i++) items.unshift(this.#pop());
    this.pushNew(new PyTuple(items));
  }

  append(items: readonly unknown[]): void {
    const list = this.top();
    if (!(list instanceof PyList)) throw this.#host.fail('its pickle appends to what is no list');
    for (const item of items) list.items.push(item);
  }

  add(items: readonly unknown[]): void {
    const set = this.top();
    if (!(set instanceof PySet)) throw this.#host.fail('its pickle adds to what is no set');
    for (const item of items) set.items.push(item);
  }

  setItems(items: readonly unknown[]): void {
    const dict = this.top();
    if (!(dict instanceof PyDict))
      throw this.#host.fail('its pickle sets an item of what is no dict');
    if (items.length % 2 !== 0) throw this.#host.fail('its pickle sets a key without a value');
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  }

  dict(items: readonly unknown[]): void {
    this.pushNew(new PyDict());
    this.setItems(items);
  }

  protocol(): void {
    const protocol = this.byte();
    if (protocol > NEWEST_PROTOCOL)
      throw this.#host.fail(`its pickle has the protocol ${protocol}`);
  }

  global(module: unknown, name: unknown): void {
    if (typeof module !== 'string' || typeof name !== 'string') {
      throw this.#host.fail('its pickle names something that is no text');
    }
    this.pushNew(this.#host.global(module, name));
  }

  persistent(): void {
    this.pushNew(this.#host.persistent(this.#pop()));
  }

  /** REDUCE and NEWOBJ: what a name of the host makes of arguments. */
  call(): void {
    const args = this.#pop();
    const callee = this.#pop();
    if (!(args instanceof PyTuple)) throw this.#host.fail('its pickle calls without arguments');
    if (!isGlobal(callee)) throw this.#host.fail('its pickle calls what is no class or function');
    if (!callee.call)
      throw this.#host.fail(`its pickle calls ${callee.pyName}, which is only a name`);
    this.pushNew(callee.call(args.items));
  }

  build(): void {
    const state = this.#pop();
    const target = this.top();
    // Attributes of a dictionary, as the versions that state_dict() notes: values are not among them.
    if (target instanceof PyDict) return;
    if (!isBuildable(target)) throw this.#host.fail('its pickle gives state to what takes none');
    target.build(state);
  }

  deny(what: string): never {
    throw this.#host.fail(`its pickle has ${what}, which torch.save does not write`);
  }
}

export function isGlobal(value: unknown): value is PyGlobal {
  return typeof value === 'object' && value !== null && 'pyName' in value;
}

function isBuildable(value: unknown): value is Buildable {
  return typeof value === 'object' && value !== null && 'build' in value;
}

function unknownInstruction(code: number): string {
  const shown = code > 0x20 && code < 0x7f ? ` ('${String.fromCharCode(code)}')` : '';
  return `its pickle has the instruction 0x${code.toString(16)}${shown}, which torch.save does not write`;
}

const instructions: Readonly<Record<number, (machine: Machine) => void>> = {
  128: (m) => m.protocol(),
  // FRAME: how much follows, for readers that buffer.
  149: (m) => void m.uint64(),
  40: (m) => m.mark(),
  48: (m) => void m.pop(),
  49: (m) => void m.popMark(),
  50: (m) => m.push(m.top()),
  78: (m) => m.push(null),
  136: (m) => m.push(true),
  137: (m) => m.push(false),
  74: (m) => m.push(m.int32()),
  75: (m) => m.push(m.byte()),
  77: (m) => m.push(m.uint16()),
  138: (m) => m.push(m.long(m.byte())),
  139: (m) => m.push(m.long(m.uint32())),
  71: (m) => m.push(m.double()),
  88: (m) => m.pushNew(m.text(m.uint32())),
  140: (m) => m.pushNew(m.text(m.byte())),
  141: (m) => m.pushNew(m.text(m.uint64())),
  85: (m) => m.pushNew(m.text(m.byte())),
  84: (m) => m.pushNew(m.text(m.uint32())),
  67: (m) => m.pushNew(m.bytes(m.byte())),
  66: (m) => m.pushNew(m.bytes(m.uint32())),
  142: (m) => m.pushNew(m.bytes(m.uint64())),
  150: (m) => m.pushNew(m.bytes(m.uint64())),
  93: (m) => m.pushNew(new PyList()),
  108: (m) => m.pushNew(new PyList(m.popMark())),
  97: (m) => {
    const item = m.pop();
    m.append([item]);
  },
  101: (m) => m.append(m.popMark()),
  41: (m) => m.tuple(0),
  133: (m) => m.tuple(1),
  134: (m) => m.tuple(2),
  135: (m) => m.tuple(3),
  116: (m) => m.pushNew(new PyTuple(m.popMark())),
  125: (m) => m.dict([]),
  100: (m) => m.dict(m.popMark()),
  115: (m) => {
    const value = m.pop();
    const key = m.pop();
    m.setItems([key, value]);
  },
  117: (m) => m.setItems(m.popMark()),
  143: (m) => m.pushNew(new PySet([])),
  144: (m) => m.add(m.popMark()),
  145: (m) => m.pushNew(new PySet(m.popMark())),
  113: (m) => m.memorize(m.byte()),
  114: (m) => m.memorize(m.uint32()),
  148: (m) => m.memorizeNext(),
  104: (m) => m.recall(m.byte()),
  106: (m) => m.recall(m.uint32()),
  99: (m) => {
    const module = m.line();
    m.global(module, m.line());
  },
  147: (m) => {
    const name = m.pop();
    m.global(m.pop(), name);
  },
  81: (m) => m.persistent(),
  82: (m) => m.call(),
  129: (m) => m.call(),
  98: (m) => m.build(),
  130: (m) => m.deny('a code of the copyreg registry'),
  146: (m) => m.deny('keyword arguments'),
  151: (m) => m.deny('a buffer outside the file'),
};
