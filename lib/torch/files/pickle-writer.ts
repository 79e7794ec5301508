/** Writes pickles of protocol 2, of the instructions that `torch.load(weights_only=True)` reads. */
import { opcodes } from './pickle-opcodes.js';

const TUPLES = [opcodes.EMPTY_TUPLE, opcodes.TUPLE1, opcodes.TUPLE2, opcodes.TUPLE3] as const;

/** Turns values into the bytes of a pickle. */
export class PickleWriter {
  readonly #chunks: Buffer[] = [];
  #memoized = 0;
  readonly #globals = new Map<string, number>();
  readonly #texts = new Map<string, number>();

  constructor() {
    this.#op(opcodes.PROTO, 2);
  }

  /** The pickle, of the value that is alone on the stack. */
  finish(): Buffer {
    this.#op(opcodes.STOP);
    return Buffer.concat(this.#chunks);
  }

  #op(...bytes: number[]): void {
    this.#chunks.push(Buffer.from(bytes));
  }

  #sized(code: number, bytes: Buffer): void {
    const head = Buffer.alloc(5);
    head[0] = code;
    head.writeUInt32LE(bytes.length, 1);
    this.#chunks.push(head, bytes);
  }

  none(): void {
    this.#op(opcodes.NONE);
  }

  bool(value: boolean): void {
    this.#op(value ? opcodes.NEWTRUE : opcodes.NEWFALSE);
  }

  int(value: number | bigint): void {
    if (value >= 0 && value < 256) this.#op(opcodes.BININT1, Number(value));
    else if (value >= -(2 ** 31) && value < 2 ** 31) {
      const bytes = Buffer.alloc(5, opcodes.BININT);
      bytes.writeInt32LE(Number(value), 1);
      this.#chunks.push(bytes);
    } else this.#long(BigInt(value));
  }

  #long(value: bigint): void {
    const magnitude = value < 0n ? -value : value;
    // A bit for the sign.
    const length = Math.ceil((magnitude.toString(2).length + 1) / 8);
    const digits = BigInt.asUintN(8 * length, value)
      .toString(16)
      .padStart(2 * length, '0');
    this.#op(opcodes.LONG1, length, ...Buffer.from(digits, 'hex').reverse());
  }

  float(value: number): void {
    const bytes = Buffer.alloc(9, opcodes.BINFLOAT);
    bytes.writeDoubleBE(value, 1);
    this.#chunks.push(bytes);
  }

  /** Each text is written once, then recalled. */
  text(value: string): void {
    const known = this.#texts.get(value);
    if (known !== undefined) {
      this.recall(known);
      return;
    }
    this.#sized(opcodes.BINUNICODE, Buffer.from(value, 'utf8'));
    this.#texts.set(value, this.memorize());
  }

  /** As text of which each letter is a byte: protocol 2 has no bytes. */
  bytes(value: Uint8Array): void {
    this.global('_codecs', 'encode');
    const letters = Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1');
    this.#sized(opcodes.BINUNICODE, Buffer.from(letters, 'utf8'));
    this.text('latin1');
    this.tuple(2);
    this.reduce();
  }

  global(module: string, name: string): void {
    const path = `${module}\n${name}\n`;
    const known = this.#globals.get(path);
    if (known !== undefined) {
      this.recall(known);
      return;
    }
    this.#chunks.push(Buffer.from(`c${path}`, 'latin1'));
    this.#globals.set(path, this.memorize());
  }

  /** Keeps what is on top of the stack, and gives the number to recall it by. */
  memorize(): number {
    this.#index(opcodes.BINPUT, opcodes.LONG_BINPUT, this.#memoized);
    return this.#memoized++;
  }

  recall(index: number): void {
    this.#index(opcodes.BINGET, opcodes.LONG_BINGET, index);
  }

  #index(short: number, long: number, index: number): void {
    if (index < 256) {
      this.#op(short, index);
      return;
    }
    const bytes = Buffer.alloc(5, long);
    bytes.writeUInt32LE(index, 1);
    this.#chunks.push(bytes);
  }

  mark(): void {
    this.#op(opcodes.MARK);
  }

  emptyList(): void {
    this.#op(opcodes.EMPTY_LIST);
  }

  /** What lies above the mark becomes items of the list below it. */
  appends(): void {
    this.#op(opcodes.APPENDS);
  }

  emptyDict(): void {
    this.#op(opcodes.EMPTY_DICT);
  }

  setItems(): void {
    this.#op(opcodes.SETITEMS);
  }

  /** Of the last one to three values, or (without a count) of those above the mark. */
  tuple(count?: 0 | 1 | 2 | 3): void {
    this.#op(count === undefined ? opcodes.TUPLE : TUPLES[count]);
  }

  reduce(): void {
    this.#op(opcodes.REDUCE);
  }

  persistent(): void {
    this.#op(opcodes.BINPERSID);
  }
}
