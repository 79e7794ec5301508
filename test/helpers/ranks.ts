/** Processes that are ranks of one group, over loopback. */
import { spawn } from 'node:child_process';
import { freePort } from '../../dist/cli/launch.js';

const library = new URL('../../dist/index.js', import.meta.url).href;

export interface RankResult {
  /** What the rank has said, in order. */
  readonly said: unknown[];
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/**
 * Runs a program in `count` ranks: `say(value)` is a result of the rank, `caught(fn)` the code and the
 * message of what `fn` throws.
 */
export async function runRanks(
  count: number,
  program: string,
  environmentOf: (rank: number) => NodeJS.ProcessEnv = () => ({}),
): Promise<RankResult[]> {
  const port = await freePort();
  return Promise.all(
    Array.from({ length: count }, (_, rank) =>
      runRank(program, {
        ...process.env,
        OMP_NUM_THREADS: '1',
        MASTER_ADDR: '127.0.0.1',
        MASTER_PORT: String(port),
        WORLD_SIZE: String(count),
        RANK: String(rank),
        LOCAL_RANK: String(rank),
        ...environmentOf(rank),
      }),
    ),
  );
}

function runRank(program: string, env: NodeJS.ProcessEnv): Promise<RankResult> {
  const source = `
    import { nn, torch } from ${JSON.stringify(library)};
    const { distributed } = torch;
    const say = (value) => console.log(JSON.stringify(value));
    const caught = (fn) => {
      try { fn(); } catch (error) { return error.code + ': ' + error.message; }
      return 'nothing was thrown';
    };
    ${program}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], { env });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.once('close', (status, signal) => {
      const lines = stdout.split('\n').filter((line) => line !== '');
      resolve({ said: lines.map((line) => JSON.parse(line)), status, signal, stderr });
    });
  });
}
