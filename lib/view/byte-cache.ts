interface Coming<Value> {
  readonly made: Promise<Value>;
  readonly controller: AbortController;
  waiting: number;
}

/**
 * Bytes by key, those used longest ago dropped first. What is being made is made once, and given up where
 * nobody waits for it any more.
 */
export class ByteCache<Value> {
  readonly #kept = new Map<string, { value: Value; bytes: number }>();
  readonly #coming = new Map<string, Coming<Value>>();
  #bytes = 0;

  constructor(
    private readonly most: number,
    private readonly sizeOf: (value: Value) => number,
  ) {}

  get bytes(): number {
    return this.#bytes;
  }

  /** @param signal takes the asking back; one that asks without waits to the end */
  async get(
    key: string,
    make: (signal: AbortSignal) => Promise<Value>,
    signal?: AbortSignal,
  ): Promise<Value> {
    signal?.throwIfAborted();
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      return kept.value;
    }
    const coming = this.#coming.get(key) ?? this.#begin(key, make);
    coming.waiting += 1;
    const leave = () => {
      coming.waiting -= 1;
      if (coming.waiting > 0) return;
      // Who asks from now on begins anew.
      if (this.#coming.get(key) === coming) this.#coming.delete(key);
      coming.controller.abort(signal?.reason);
    };
    signal?.addEventListener('abort', leave, { once: true });
    try {
      return await coming.made;
    } finally {
      signal?.removeEventListener('abort', leave);
    }
  }

  #begin(key: string, make: (signal: AbortSignal) => Promise<Value>): Coming<Value> {
    const controller = new AbortController();
    const made = make(controller.signal)
      .then((value) => this.#keep(key, value))
      .finally(() => {
        if (this.#coming.get(key) === coming) this.#coming.delete(key);
      });
    const coming = { made, controller, waiting: 0 };
    this.#coming.set(key, coming);
    return coming;
  }

  #keep(key: string, value: Value): Value {
    const bytes = this.sizeOf(value);
    if (bytes > this.most || this.#kept.has(key)) return value;
    this.#kept.set(key, { value, bytes });
    this.#bytes += bytes;
    for (const [oldest, { bytes: freed }] of this.#kept) {
      if (this.#bytes <= this.most) break;
      this.#kept.delete(oldest);
      this.#bytes -= freed;
    }
    return value;
  }
}
