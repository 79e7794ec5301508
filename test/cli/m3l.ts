import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The built command line. */
export const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Outcome {
  /** Exit code; null where a signal ended the process. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Of Node itself, before the script. */
  nodeOptions?: readonly string[];
  /** Called with everything on stderr so far whenever there is more. */
  onStderr?: (text: string, child: ChildProcess) => void;
  /** Shell commands to run first, such as `ulimit`. */
  prelude?: string;
}

/** Runs the built command line as a user would, in a child process. */
export function m3l(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { cwd, env = {}, nodeOptions = [], onStderr, prelude } = options;
  // One thread: tests run side by side, and waiting threads would spin on each other's cores.
  const all: NodeJS.ProcessEnv = { ...process.env, OMP_NUM_THREADS: '1', ...env };
  // Vitest's own settings must not reach the child.
  delete all.NODE_OPTIONS;
  const child =
    prelude === undefined
      ? spawn(process.execPath, [...nodeOptions, main, ...args], { cwd, env: all })
      : spawn('sh', ['-c', `${prelude}; exec "$0" "$@"`, process.execPath, main, ...args], {
          cwd,
          env: all,
        });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onStderr?.(stderr, child);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
