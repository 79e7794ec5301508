// A Python child process that does the same work as a case, asked by line JSON (bench/peers).
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cacheFolder, findLibtorch } from '../dist/torch/libtorch.js';

const PEERS = fileURLToPath(new URL('peers/', import.meta.url));
/** What PyTorch and the peers import beyond the standard library. */
const REQUIREMENTS = ['numpy', 'typing_extensions'];

/** The peer cannot run on this machine; the message says why and how to mend it. */
export class PeerError extends Error {
  code = 'M3L_BENCH_PEER';
}

/** The environment in which `import torch` gives the very libtorch that the addon runs on. */
function pythonEnvironment() {
  const refusals = [];
  const found = findLibtorch(refusals);
  if (found === null || !existsSync(join(found.folder, '__init__.py'))) {
    const reason = found ? `${found.folder} is no torch wheel` : refusals.join('; ');
    throw new PeerError(
      `the peers need PyTorch: ${reason}. Run: npm run setup, or set LIBTORCH to a wheel's torch folder`,
    );
  }
  const extras = join(cacheFolder(), 'bench-python');
  const environment = {
    ...process.env,
    PYTHONPATH: [dirname(found.folder), extras, process.env.PYTHONPATH]
      .filter(Boolean)
      .join(delimiter),
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONUNBUFFERED: '1',
  };
  const script = `import ${REQUIREMENTS.join(', ')}`;
  const imports = () =>
    spawnSync('python3', ['-c', script], { env: environment, encoding: 'utf8' });
  if (imports().status !== 0) {
    mkdirSync(extras, { recursive: true });
    const command = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-deps',
      '--target',
      extras,
      ...REQUIREMENTS,
    ];
    const { status, stderr, error } = spawnSync('python3', command, { encoding: 'utf8' });
    if (status !== 0 || imports().status !== 0) {
      const reason = error?.message ?? stderr.trim().split('\n').at(-1);
      throw new PeerError(
        `python3 cannot import ${REQUIREMENTS.join(', ')}: ${reason}. Run: python3 ${command.join(' ')}`,
      );
    }
  }
  return environment;
}

let environment = null;

export class Peer {
  #child;
  #answers;

  /**
   * @param {string} script a file of bench/peers
   * @param {Record<string, string>} variables set in its environment besides
   */
  constructor(script, variables = {}) {
    environment ??= pythonEnvironment();
    this.#child = spawn('python3', [join(PEERS, script)], {
      env: { ...environment, ...variables },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Sends one command and waits for its answer. */
  async ask(cmd, options = {}) {
    this.#child.stdin.write(`${JSON.stringify({ cmd, ...options })}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new PeerError(`the Python peer ended while it was asked '${cmd}'`);
    const answer = JSON.parse(value);
    if (answer.error) throw new PeerError(`the Python peer could not '${cmd}': ${answer.error}`);
    return answer;
  }

  close() {
    this.#child.stdin.end();
  }
}

/** The malloc settings that our core makes (binding/core/module.cpp), for a peer to have too. */
export const OUR_MALLOC = {
  MALLOC_MMAP_THRESHOLD_: String(2 ** 30),
  MALLOC_TRIM_THRESHOLD_: String(512 * 2 ** 20),
  MALLOC_TOP_PAD_: String(64 * 2 ** 20),
};

/** Runs `use` with a peer and ends it afterwards, whatever happens. */
export async function withPeer(script, use, variables) {
  const peer = new Peer(script, variables);
  try {
    return await use(peer);
  } finally {
    peer.close();
  }
}
