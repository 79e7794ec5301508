/** Writes pickles of protocol 2, of the instructions that `torch.load(weights_only=True)` reads. */

/** Turns values into the bytes of a pickle. */
export class PickleWriter {
  readonly #chunks: Buffer[] = [];
  #memoized = 0;
  readonly #globals = new Map<string, number>();
  readonly #texts = new Map<string, number>();

  constructor() {
    this.#op(0x80, 2);
  }

  /** The pickle, of the value that is alone on the stack. */
  finish(): Buffer {
    this.#op(0x2e);
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
    this.#op(0x4e);
  }

  bool(value: boolean): void {
    this.#op(value ? 0x88 : 0x89);
  }

  int(value: number | bigint): void {
    if (value >= 0 && value < 256) this.#op(0x4b, Number(value));
    else if (value >= -(2 ** 31) && value < 2 ** 31) {
      const bytes = Buffer.alloc(5, 0x4a);
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
    this.#op(0x8a, length, ...Buffer.from(digits, 'hex').reverse());
  }

  float(value: number): void {
    const bytes = Buffer.alloc(9, 0x47);
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
    this.#sized(0x58, Buffer.from(value, 'utf8'));
    this.#texts.set(value, this.memorize());
  }

  /** As text of which each letter is a byte: protocol 2 has no bytes. */
  bytes(value: Uint8Array): void {
    this.global('_codecs', 'encode');
    const letters = Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1');
    this.#sized(0x58, Buffer.from(letters, 'utf8'));
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
    this.#index(0x71, 0x72, this.#memoized);
    return this.#memoized++;
  }

  recall(index: number): void {
    this.#index(0x68, 0x6a, index);
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
    this.#op(0x28);
  }

  emptyList(): void {
    this.#op(0x5d);
  }

  /** What lies above the mark becomes items of the list below it. */
  appends(): void {
    this.#op(0x65);
  }

  emptyDict(): void {
    this.#op(0x7d);
  }

  setItems(): void {
    this.#op(0x75);
  }

  /** Of the last one to three values, or (without a count) of those above the mark. */
  tuple(count?: 0 | 1 | 2 | 3): void {
    this.#op(count === undefined ? 0x74 : count === 0 ? 0x29 : 0x84 + count);
  }

  reduce(): void {
    this.#op(0x52);
  }

  persistent(): void {
    this.#op(0x51);
  }
}
