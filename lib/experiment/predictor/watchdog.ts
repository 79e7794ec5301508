/** How often within its time a watchdog looks. A process that was stopped meanwhile missed no look. */
const LOOKS = 10;

/** Notices that a thread gives no sign of life while somebody waits for it. */
export class Watchdog {
  readonly #pulse: Int32Array;
  readonly #seconds: number;
  readonly #onHang: () => void;
  #waiting = 0;
  #seen = 0;
  #still = 0;
  #timer: NodeJS.Timeout | null = null;

  /** @param pulse one number, to which the thread adds as long as it gets on: each change is a sign of life */
  constructor(pulse: Int32Array, seconds: number, onHang: () => void) {
    this.#pulse = pulse;
    this.#seconds = seconds;
    this.#onHang = onHang;
  }

  /** Watches while the thread owes this answer, which is a sign of life, too. */
  async during<Answer>(answer: Promise<Answer>): Promise<Answer> {
    this.#waiting += 1;
    this.#timer ??= setInterval(() => this.#look(), (this.#seconds * 1000) / LOOKS).unref();
    try {
      return await answer;
    } finally {
      this.#still = 0;
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#rest();
    }
  }

  #look(): void {
    const seen = Atomics.load(this.#pulse, 0);
    this.#still = seen === this.#seen ? this.#still + 1 : 0;
    this.#seen = seen;
    if (this.#still < LOOKS) return;
    this.#still = 0;
    this.#onHang();
  }

  #rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}
