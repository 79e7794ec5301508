// A Python child process that does the same work as a case, asked by line JSON (bench/peers).
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cacheFolder, findLibtorch } from '../dist/torch/libtorch.js';

const PEERS = fileURLToPath(new URL('peers/', import.meta.url));
/** What PyTorch and all peers import beyond the standard library: modules, and the packages they are in. */
const REQUIREMENTS = { numpy: 'numpy', typing_extensions: 'typing_extensions' };

/** The peer cannot run on this machine; the message says why and how to mend it. */
export class PeerError extends Error {
  code = 'M3L_BENCH_PEER';
}

/**
 * The environment in which `import torch` gives the very libtorch that the addon runs on, and in which
 * the modules of `requirements` can be imported: their packages go to the cache when first needed.
 */
function pythonEnvironment(requirements) {
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
  const modules = Object.keys(requirements).join(', ');
  const script = `import ${modules}`;
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
      ...Object.values(requirements),
    ];
    const { status, stderr, error } = spawnSync('python3', command, { encoding: 'utf8' });
    if (status !== 0 || imports().status !== 0) {
      const reason = error?.message ?? stderr.trim().split('\n').at(-1);
      throw new PeerError(
        `python3 cannot import ${modules}: ${reason}. Run: python3 ${command.join(' ')}`,
      );
    }
  }
  return environment;
}

const environments = new Map();

function environmentFor(requirements) {
  const key = Object.keys(requirements).sort().join();
  if (!environments.has(key)) environments.set(key, pythonEnvironment(requirements));
  return environments.get(key);
}

export class Peer {
  #child;
  #answers;

  /**
   * @param {string} script a file of bench/peers
   * @param {{ requirements?: Record<string, string>, variables?: Record<string, string> }} options
   *   modules it imports besides, and their packages; what is set in its environment
   */
  constructor(script, { requirements = {}, variables = {} } = {}) {
    this.#child = spawn('python3', [join(PEERS, script)], {
      env: { ...environmentFor({ ...REQUIREMENTS, ...requirements }), ...variables },
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
export async function withPeer(script, use, options) {
  const peer = new Peer(script, options);
  try {
    return await use(peer);
  } finally {
    peer.close();
  }
}
