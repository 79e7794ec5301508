import { M3lError } from '../../torch/errors.js';

/** How requests wait for one another. */
export interface BatcherOptions {
  /** Requests that are worked on together, at most. */
  readonly maxBatch: number;
  /** Milliseconds that a request waits for others while nothing is worked on. */
  readonly window: number;
  /** Requests that may wait; more are refused. */
  readonly maxQueue: number;
}

interface Waiting<Request, Answer> {
  readonly request: Request;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/**
 * Requests that come one by one, worked on several at a time: while one batch is under way the next
 * gathers, and goes as soon as that is done.
 */
export class Batcher<Request, Answer> {
  readonly #work: (requests: Request[]) => Promise<Answer[]>;
  readonly #options: BatcherOptions;
  #waiting: Waiting<Request, Answer>[] = [];
  #running: Waiting<Request, Answer>[] = [];
  #timer: NodeJS.Timeout | null = null;
  #closed: M3lError | null = null;

  /** @param work gives an answer for each request, in their order */
  constructor(work: (requests: Request[]) => Promise<Answer[]>, options: BatcherOptions) {
    this.#work = work;
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get running(): number {
    return this.#running.length;
  }

  /**
   * @param signal takes the request back: one that waits is dropped, of one that runs the answer is
   * @throws M3lError M3L_PREDICTOR_BUSY where too many wait; the signal's reason; what the work threw
   */
  async ask(request: Request, signal?: AbortSignal): Promise<Answer> {
    signal?.throwIfAborted();
    if (this.#closed !== null) throw this.#closed;
    const { maxQueue } = this.#options;
    if (this.#waiting.length >= maxQueue) {
      throw new M3lError(
        'M3L_PREDICTOR_BUSY',
        `found ${this.#waiting.length} predictions waiting, expected fewer than ${maxQueue} (maxQueue): ask again later, or ask less at once.`,
      );
    }
    let entry!: Waiting<Request, Answer>;
    const answered = new Promise<Answer>((resolve, reject) => {
      entry = { request, resolve, reject };
    });
    this.#waiting.push(entry);
    this.#schedule();
    if (signal === undefined) return answered;
    const leave = () => {
      this.#waiting = this.#waiting.filter((each) => each !== entry);
      entry.reject(signal.reason);
    };
    signal.addEventListener('abort', leave);
    return answered.finally(() => signal.removeEventListener('abort', leave));
  }

  /** Rejects all that waits and runs, and whatever comes later. */
  close(reason: M3lError): void {
    this.#closed ??= reason;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const { reject } of [...this.#running, ...this.#waiting.splice(0)]) reject(reason);
  }

  #schedule(): void {
    if (this.#running.length > 0) return;
    const { maxBatch, window } = this.#options;
    if (this.#waiting.length >= maxBatch) void this.#run();
    else this.#timer ??= setTimeout(() => void this.#run(), window);
  }

  async #run(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (this.#waiting.length > 0) {
      this.#running = this.#waiting.splice(0, this.#options.maxBatch);
      try {
        const answers = await this.#work(this.#running.map(({ request }) => request));
        for (const [i, { resolve }] of this.#running.entries()) resolve(answers[i]!);
      } catch (error) {
        for (const { reject } of this.#running) reject(error);
      }
    }
    this.#running = [];
  }
}
