// A benchmark in several processes of this machine, which are the ranks of one group (loopback).
import { spawn } from 'node:child_process';
import { freePort } from '../dist/cli/launch.js';

/**
 * Runs a file in `count` ranks of so many threads each.
 * @param {string} file @param {{ count: number, threads: number, args?: readonly unknown[] }} options
 * @returns {Promise<any>} what rank 0 printed, as JSON
 * @throws {Error} of the first rank that fails
 */
export async function inRanks(file, { count, threads, args = [] }) {
  const shared = {
    ...process.env,
    ...{ OMP_NUM_THREADS: String(threads), WORLD_SIZE: String(count) },
    ...{ MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(await freePort()) },
  };
  const outputs = await Promise.all(
    Array.from({ length: count }, (_, rank) => {
      const child = spawn(process.execPath, [file, ...args.map(String)], {
        env: { ...shared, RANK: String(rank) },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text) => {
        said += text;
      });
      return new Promise((settle, fail) => {
        child.on('close', (code) =>
          code === 0 ? settle(said) : fail(new Error(`rank ${rank} ended with ${code}`)),
        );
      });
    }),
  );
  return JSON.parse(String(outputs[0]));
}
