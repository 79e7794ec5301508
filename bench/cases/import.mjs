import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PeerError, peerProgram } from '../peer.mjs';
import { alternate } from '../statistics.mjs';

/** Milliseconds of a whole process. */
function time({ command, args, env }) {
  const start = performance.now();
  const { status, stderr, error } = spawnSync(command, args, { env, encoding: 'utf8' });
  const milliseconds = performance.now() - start;
  if (status === 0) return milliseconds;
  throw new PeerError(`${args.join(' ')} failed: ${error?.message ?? stderr.trim()}`);
}

export default [
  {
    name: 'import',
    title:
      "a process that imports the library, calls `ones`, `add`, `sum` and `item`, and ends; Python's has its bytecode cached",
    unit: 'ms',
    runs: 15,
    target: { ratio: 0.5 },
    measure({ runs }) {
      const program = fileURLToPath(new URL('../children/first-operator.mjs', import.meta.url));
      const ours = { command: process.execPath, args: [program], env: process.env };
      const peer = peerProgram('first_operator.py');
      // Once each: libraries come from the disk, and Python compiles.
      time(ours);
      time(peer);
      return alternate(runs, { ours: () => time(ours), peer: () => time(peer) });
    },
  },
];
