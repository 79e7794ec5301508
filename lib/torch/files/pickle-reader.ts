/**
 * A reader of pickles that builds plain values and executes nothing: a pickle is a program for a stack
 * machine, and its two instructions that call something reach only what the host hands out.
 * https://docs.python.org/3/library/pickletools.html
 */
import type { M3lError } from '../errors.js';
import { opcodes } from './pickle-opcodes.js';
import { PyDict, PyList, PySet, PyTuple } from './pickle-values.js';
import { PAUSE, type Reading } from './source.js';

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
  /** How many values and instructions the size of the file justifies. */
  readonly mostValues: number;
  readonly mostInstructions: number;
}

/** The bytes end before the pickle does: more of them may help. */
export class PickleEnded extends Error {}

/** Of numbers: 1 KiB of digits is no number of a checkpoint. */
const LONGEST_NUMBER = 1024;
const NEWEST_PROTOCOL = 5;
/** What takes a few milliseconds. */
const INSTRUCTIONS_AT_ONCE = 1 << 14;

/** Reads the pickle that starts at `start`; gives its value and where it ends. */
export function readPickle(
  bytes: Uint8Array,
  start: number,
  host: PickleHost,
): Reading<{ value: unknown; end: number }> {
  return new Machine(bytes, start, host).run();
}

class Machine {
  readonly #bytes: Buffer;
  readonly #host: PickleHost;
  readonly #memo: unknown[] = [];
  /** What was kept under numbers out of turn. */
  readonly #kept = new Map<number, unknown>();
  readonly #marks: number[] = [];
  readonly #stack: unknown[] = [];
  #at: number;
  #values = 0;

  constructor(bytes: Uint8Array, start: number, host: PickleHost) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = start;
    this.#host = host;
  }

  *run(): Reading<{ value: unknown; end: number }> {
    const { mostInstructions } = this.#host;
    for (let count = 0; count < mostInstructions; count++) {
      if (count % INSTRUCTIONS_AT_ONCE === INSTRUCTIONS_AT_ONCE - 1) yield PAUSE;
      const code = this.#bytes[this.#skip(1)]!;
      if (code === opcodes.STOP) return { value: this.#pop(), end: this.#at };
      const instruction = instructions[code];
      if (instruction === undefined) throw this.#host.fail(unknownInstruction(code));
      instruction(this);
    }
    throw this.#host.fail(
      `its pickle has more than ${mostInstructions} instructions, which its size forbids`,
    );
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
    if (index === this.#memo.length) this.#memo.push(this.top());
    else if (index < this.#memo.length) this.#memo[index] = this.top();
    else this.#kept.set(index, this.top());
  }

  memorizeNext(): void {
    this.#memo.push(this.top());
  }

  recall(index: number): void {
    if (index < this.#memo.length) this.#stack.push(this.#memo[index]);
    else if (this.#kept.has(index)) this.#stack.push(this.#kept.get(index));
    else throw this.#host.fail(`its pickle recalls ${index}, which it never kept`);
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
  [opcodes.PROTO]: (m) => m.protocol(),
  // FRAME: how much follows, for readers that buffer.
  [opcodes.FRAME]: (m) => void m.uint64(),
  [opcodes.MARK]: (m) => m.mark(),
  [opcodes.POP]: (m) => void m.pop(),
  [opcodes.POP_MARK]: (m) => void m.popMark(),
  [opcodes.DUP]: (m) => m.push(m.top()),
  [opcodes.NONE]: (m) => m.push(null),
  [opcodes.NEWTRUE]: (m) => m.push(true),
  [opcodes.NEWFALSE]: (m) => m.push(false),
  [opcodes.BININT]: (m) => m.push(m.int32()),
  [opcodes.BININT1]: (m) => m.push(m.byte()),
  [opcodes.BININT2]: (m) => m.push(m.uint16()),
  [opcodes.LONG1]: (m) => m.push(m.long(m.byte())),
  [opcodes.LONG4]: (m) => m.push(m.long(m.uint32())),
  [opcodes.BINFLOAT]: (m) => m.push(m.double()),
  [opcodes.BINUNICODE]: (m) => m.pushNew(m.text(m.uint32())),
  [opcodes.SHORT_BINUNICODE]: (m) => m.pushNew(m.text(m.byte())),
  [opcodes.BINUNICODE8]: (m) => m.pushNew(m.text(m.uint64())),
  [opcodes.SHORT_BINSTRING]: (m) => m.pushNew(m.text(m.byte())),
  [opcodes.BINSTRING]: (m) => m.pushNew(m.text(m.uint32())),
  [opcodes.SHORT_BINBYTES]: (m) => m.pushNew(m.bytes(m.byte())),
  [opcodes.BINBYTES]: (m) => m.pushNew(m.bytes(m.uint32())),
  [opcodes.BINBYTES8]: (m) => m.pushNew(m.bytes(m.uint64())),
  [opcodes.BYTEARRAY8]: (m) => m.pushNew(m.bytes(m.uint64())),
  [opcodes.EMPTY_LIST]: (m) => m.pushNew(new PyList()),
  [opcodes.LIST]: (m) => m.pushNew(new PyList(m.popMark())),
  [opcodes.APPEND]: (m) => {
    const item = m.pop();
    m.append([item]);
  },
  [opcodes.APPENDS]: (m) => m.append(m.popMark()),
  [opcodes.EMPTY_TUPLE]: (m) => m.tuple(0),
  [opcodes.TUPLE1]: (m) => m.tuple(1),
  [opcodes.TUPLE2]: (m) => m.tuple(2),
  [opcodes.TUPLE3]: (m) => m.tuple(3),
  [opcodes.TUPLE]: (m) => m.pushNew(new PyTuple(m.popMark())),
  [opcodes.EMPTY_DICT]: (m) => m.dict([]),
  [opcodes.DICT]: (m) => m.dict(m.popMark()),
  [opcodes.SETITEM]: (m) => {
    const value = m.pop();
    const key = m.pop();
    m.setItems([key, value]);
  },
  [opcodes.SETITEMS]: (m) => m.setItems(m.popMark()),
  [opcodes.EMPTY_SET]: (m) => m.pushNew(new PySet([])),
  [opcodes.ADDITEMS]: (m) => m.add(m.popMark()),
  [opcodes.FROZENSET]: (m) => m.pushNew(new PySet(m.popMark())),
  [opcodes.BINPUT]: (m) => m.memorize(m.byte()),
  [opcodes.LONG_BINPUT]: (m) => m.memorize(m.uint32()),
  [opcodes.MEMOIZE]: (m) => m.memorizeNext(),
  [opcodes.BINGET]: (m) => m.recall(m.byte()),
  [opcodes.LONG_BINGET]: (m) => m.recall(m.uint32()),
  [opcodes.GLOBAL]: (m) => {
    const module = m.line();
    m.global(module, m.line());
  },
  [opcodes.STACK_GLOBAL]: (m) => {
    const name = m.pop();
    m.global(m.pop(), name);
  },
  [opcodes.BINPERSID]: (m) => m.persistent(),
  [opcodes.REDUCE]: (m) => m.call(),
  [opcodes.NEWOBJ]: (m) => m.call(),
  [opcodes.BUILD]: (m) => m.build(),
  [opcodes.EXT1]: (m) => m.deny('a code of the copyreg registry'),
  [opcodes.NEWOBJ_EX]: (m) => m.deny('keyword arguments'),
  [opcodes.NEXT_BUFFER]: (m) => m.deny('a buffer outside the file'),
};
