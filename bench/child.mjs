// A piece of our own work in a fresh process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

/** What a script of this folder prints as JSON; what it says besides goes to our standard error. */
export async function inProcess(script, ...args) {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const given = args.filter((argument) => argument !== undefined);
  const child = spawn(process.execPath, [file, ...given], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const [printed, [code, signal]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  if (code !== 0) {
    throw new Error(`${script} ${given.join(' ')} ended with ${signal ?? `exit code ${code}`}`);
  }
  return JSON.parse(printed);
}

/** What a script of bench/children prints as JSON, given its arguments as JSON too. */
export function inChild(script, ...options) {
  return inProcess(`children/${script}`, ...options.map((option) => JSON.stringify(option)));
}
