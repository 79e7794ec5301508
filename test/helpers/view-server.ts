import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** `m3l view` as a user has it: a process that prints its address. */
export interface ViewServer {
  url: string;
  child: ChildProcess;
  /** Ends it as Ctrl-C does, and gives its exit code. */
  end(): Promise<number | null>;
}

export async function startView(
  args: readonly string[],
  cwd = process.cwd(),
  more: NodeJS.ProcessEnv = {},
): Promise<ViewServer> {
  const { NODE_OPTIONS: _, ...inherited } = process.env;
  const env = { ...inherited, OMP_NUM_THREADS: '1', ...more };
  const child = spawn(process.execPath, [main, 'view', ...args, '--no-open'], { cwd, env });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text.trim()));
    child.once('close', () => reject(new Error(`m3l view ended: ${errors}`)));
  });
  return {
    url,
    child,
    async end() {
      if (child.exitCode !== null) return child.exitCode;
      const closed = once(child, 'close');
      child.kill('SIGINT');
      await closed;
      return child.exitCode;
    },
  };
}

/** The first events of a stream, as many as `enough` says. */
export async function eventsOf<Data>(
  url: string,
  enough: (events: readonly Data[]) => boolean,
): Promise<Data[]> {
  const controller = new AbortController();
  const response = await fetch(url, { signal: controller.signal });
  const events: Data[] = [];
  let text = '';
  try {
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value: chunk, done } = await reader.read();
      if (done) break;
      const parts = (text + chunk).split('\n\n');
      text = parts.pop()!;
      for (const part of parts) {
        const data = /^data: (.*)$/m.exec(part)?.[1];
        if (data !== undefined) events.push(JSON.parse(data) as Data);
      }
      if (enough(events)) break;
    }
  } finally {
    controller.abort();
  }
  return events;
}
