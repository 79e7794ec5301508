/** Bytes by key, those used longest ago dropped first; what is being made is made once. */
export class ByteCache<Value> {
  readonly #kept = new Map<string, { value: Value; bytes: number }>();
  readonly #coming = new Map<string, Promise<Value>>();
  #bytes = 0;

  constructor(
    private readonly most: number,
    private readonly sizeOf: (value: Value) => number,
  ) {}

  get bytes(): number {
    return this.#bytes;
  }

  async get(key: string, make: () => Promise<Value>): Promise<Value> {
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      return kept.value;
    }
    const coming = this.#coming.get(key);
    if (coming !== undefined) return coming;
    const made = make().finally(() => this.#coming.delete(key));
    this.#coming.set(key, made);
    const value = await made;
    this.#keep(key, value);
    return value;
  }

  #keep(key: string, value: Value): void {
    const bytes = this.sizeOf(value);
    if (bytes > this.most || this.#kept.has(key)) return;
    this.#kept.set(key, { value, bytes });
    this.#bytes += bytes;
    for (const [oldest, { bytes: freed }] of this.#kept) {
      if (this.#bytes <= this.most) return;
      this.#kept.delete(oldest);
      this.#bytes -= freed;
    }
  }
}
