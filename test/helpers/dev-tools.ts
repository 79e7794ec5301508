import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

interface Reply {
  id?: number;
  result?: unknown;
  error?: { message: string };
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** A window of an Electron app on a screen of its own, driven as its developer tools would. */
export class AppWindow {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: Promise<void>;
  #session: string | undefined;
  #lastId = 0;
  #log = '';

  /** @param args the program's own, such as the folder of a run */
  constructor(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    // Root may not start Chromium's sandbox. The pipe is the protocol of a debugging port, without one.
    const switches = ['--no-sandbox', '--remote-debugging-pipe'];
    this.#child = spawn('xvfb-run', ['-a', program, ...switches, ...args], {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    const [, output, errors, , replies] = this.#child.stdio as Readable[];
    for (const stream of [output!, errors!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#log += text;
      });
    }
    let rest = '';
    replies!.setEncoding('utf8').on('data', (text: string) => {
      const messages = (rest + text).split('\0');
      rest = messages.pop()!;
      for (const message of messages) this.#settle(JSON.parse(message) as Reply);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.on('close', () => {
        for (const { reject } of this.#waiting.values())
          reject(new Error(`it ended: ${this.#log}`));
        resolve();
      });
    });
  }

  /** Waits for the page. Before it nothing else can be asked. */
  async open(): Promise<void> {
    type Targets = { targetInfos: { targetId: string; type: string; url: string }[] };
    const page = await this.#until(async () => {
      const { targetInfos } = await this.#call<Targets>('Target.getTargets');
      return targetInfos.find(({ type, url }) => type === 'page' && url !== '');
    }, 'a page');
    const { sessionId } = await this.#call<{ sessionId: string }>('Target.attachToTarget', {
      targetId: page.targetId,
      flatten: true,
    });
    this.#session = sessionId;
  }

  /** The value of an expression in the page; what it promises, where it is a promise. */
  async evaluate<T>(expression: string): Promise<T> {
    type Evaluated = { result: { value: T }; exceptionDetails?: { exception?: unknown } };
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.#call<Evaluated>('Runtime.evaluate', options);
    if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return result.value;
  }

  /** Waits until an expression in the page is truthy, and gives it. */
  until<T>(expression: string): Promise<T> {
    return this.#until(() => this.evaluate<T>(expression), expression);
  }

  /** Clicks in the middle of an element, as a mouse does. */
  async click(selector: string): Promise<void> {
    const box = `document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect()`;
    const [x, y] = await this.evaluate<[number, number]>(
      `((b) => [b.x + b.width / 2, b.y + b.height / 2])(${box})`,
    );
    for (const type of ['mousePressed', 'mouseReleased']) {
      const mouse = { type, x, y, button: 'left', clickCount: 1 };
      await this.#call('Input.dispatchMouseEvent', mouse);
    }
  }

  /** What the window shows, as PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.#call<{ data: string }>('Page.captureScreenshot');
    return Buffer.from(data, 'base64');
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.#kill(), 5000);
    // The reply may not come any more.
    this.#call('Browser.close').catch(() => {});
    await this.#ended;
    clearTimeout(timer);
    this.#kill();
  }

  /** Whatever is left of the process group, such as the screen. */
  #kill(): void {
    try {
      process.kill(-this.#child.pid!, 'SIGKILL');
    } catch {
      // Nothing is.
    }
  }

  #call<T>(method: string, params: object = {}): Promise<T> {
    const id = ++this.#lastId;
    const message = { id, method, params, sessionId: this.#session };
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      (this.#child.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    });
  }

  #settle({ id, result, error }: Reply): void {
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || waiting === undefined) return;
    this.#waiting.delete(id);
    if (error === undefined) waiting.resolve(result);
    else waiting.reject(new Error(error.message));
  }

  async #until<T>(look: () => Promise<T>, what: string): Promise<NonNullable<T>> {
    for (let tries = 0; tries < 600; tries++) {
      const found = await look();
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`waited in vain for ${what}; it said: ${this.#log}`);
  }
}
