// A Python child process that does the same work as a case, asked by line JSON (bench/peers).
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cacheFolder, findLibtorch } from '../dist/torch/libtorch.js';

const PEERS = fileURLToPath(new URL('peers/', import.meta.url));

/**
 * What a peer imports beyond PyTorch, each in a folder of the cache of its own, filled by pip where
 * the import fails.
 */
const KITS = {
  basic: { imports: ['numpy', 'typing_extensions'], packages: ['numpy', 'typing_extensions'] },
  images: { imports: ['PIL', 'cv2'], packages: ['pillow', 'opencv-python-headless'] },
  onnx: { imports: ['onnx'], packages: ['onnx', 'protobuf', 'ml_dtypes'] },
  // With what it needs, which PyTorch is no part of.
  transformers: { imports: ['transformers'], packages: ['transformers'], dependencies: true },
  server: {
    imports: ['fastapi', 'uvicorn', 'multipart', 'PIL'],
    packages: ['fastapi', 'uvicorn', 'python-multipart', 'pillow'],
    dependencies: true,
  },
};

/** The peer cannot run on this machine; the message says why and how to mend it. */
export class PeerError extends Error {
  code = 'M3L_BENCH_PEER';
}

/** The environment in which `import torch` gives the very libtorch that the addon runs on. */
function pythonEnvironment(kits) {
  const refusals = [];
  const found = findLibtorch(refusals);
  if (found === null || !existsSync(join(found.folder, '__init__.py'))) {
    const reason = found ? `${found.folder} is no torch wheel` : refusals.join('; ');
    throw new PeerError(
      `the peers need PyTorch: ${reason}. Run: npm run setup, or set LIBTORCH to a wheel's torch folder`,
    );
  }
  const folderOf = (kit) =>
    join(cacheFolder(), kit === 'basic' ? 'bench-python' : `bench-python-${kit}`);
  const environment = {
    ...process.env,
    PYTHONPATH: [dirname(found.folder), ...kits.map(folderOf), process.env.PYTHONPATH]
      .filter(Boolean)
      .join(delimiter),
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONUNBUFFERED: '1',
  };
  for (const kit of kits) install(KITS[kit], folderOf(kit), environment);
  return environment;
}

function install({ imports, packages, dependencies = false }, folder, environment) {
  const script = `import ${imports.join(', ')}`;
  const importable = () =>
    spawnSync('python3', ['-c', script], { env: environment, encoding: 'utf8' }).status === 0;
  if (importable()) return;
  mkdirSync(folder, { recursive: true });
  const alone = dependencies ? [] : ['--no-deps'];
  const options = ['--quiet', '--retries', '0', '--target', folder];
  const command = ['-m', 'pip', 'install', ...options, ...alone, ...packages];
  const { status, stderr, error } = spawnSync('python3', command, { encoding: 'utf8' });
  if (status === 0 && importable()) return;
  const reason = error?.message ?? stderr.trim().split('\n').at(-1);
  throw new PeerError(
    `python3 cannot import ${imports.join(', ')}: ${reason}. Run: python3 ${command.join(' ')}`,
  );
}

const environments = new Map();

function environmentFor(kit) {
  const known = environments.get(kit) ?? pythonEnvironment([...new Set(['basic', kit])]);
  environments.set(kit, known);
  return known;
}

/**
 * A script of bench/peers as a process of its own, in which Python keeps its bytecode as it does where
 * it is installed.
 * @param {string} script
 * @param {keyof typeof KITS} [kit] what it imports besides
 * @returns {{ command: string, args: string[], env: NodeJS.ProcessEnv }}
 */
export function peerProgram(script, kit = 'basic') {
  const { PYTHONDONTWRITEBYTECODE: _, ...env } = environmentFor(kit);
  // Itself, and not a version manager's shell script before it.
  const name = ['-c', 'import sys; print(sys.executable)'];
  const command = spawnSync('python3', name, { env, encoding: 'utf8' }).stdout.trim();
  const bytecode = { PYTHONPYCACHEPREFIX: join(cacheFolder(), 'bench-python', 'bytecode') };
  return { command, args: [join(PEERS, script)], env: { ...env, ...bytecode } };
}

export class Peer {
  #child;
  #answers;

  /**
   * @param {string} script a file of bench/peers
   * @param {{ kit?: keyof typeof KITS, variables?: Record<string, string> }} options what it
   *   imports besides, and what is set in its environment
   */
  constructor(script, { kit = 'basic', variables = {} } = {}) {
    this.#child = spawn('python3', [join(PEERS, script)], {
      env: { ...environmentFor(kit), ...variables },
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
