// A piece of our own work in a fresh process.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What a script of bench/children prints as JSON, given its arguments as JSON too. */
export async function inChild(script, ...options) {
  const file = fileURLToPath(new URL(`children/${script}`, import.meta.url));
  const { stdout } = await run(process.execPath, [file, ...options.map((o) => JSON.stringify(o))]);
  return JSON.parse(stdout);
}
