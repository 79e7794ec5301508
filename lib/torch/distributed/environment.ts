/** Where the ranks meet, from options and the variables that torchrun sets. */
import { describe, M3lError } from '../errors.js';

/** What `initProcessGroup` takes. */
export interface InitOptions {
  /** `gloo` (tensors of the CPU) by default; `nccl`: of CUDA devices too, those of the CPU by Gloo. */
  backend?: 'gloo' | 'nccl';
  /** Where the ranks meet: torchrun's environment by default, an address, or a file that all reach. */
  initMethod?: 'env://' | `tcp://${string}:${number}` | `file://${string}`;
  /** From 0 on; RANK by default. */
  rank?: number;
  /** WORLD_SIZE by default. */
  worldSize?: number;
  /** For how long a rank waits for the others, when it begins and in each collective; 600 by default. */
  timeoutSeconds?: number;
  /**
   * Whether each collective first compares name, dtype and shape over all ranks, so that a difference is
   * an error in all of them, and not a wait until the time is up or wrong values: true by default. Costs
   * an exchange of 128 bytes a rank. `allReduceAsync` then waits for it.
   */
  checkCollectives?: boolean;
}

/** A place to meet and who comes. */
export interface Rendezvous {
  /** Held by rank 0 as long as the group lives, by torchrun's agent, or a file. */
  readonly store: 'tcp' | 'agent' | 'file';
  /** A host, or the file's path. */
  readonly address: string;
  readonly port: number;
  /** Whether this process is the one that holds the store. */
  readonly hostsStore: boolean;
  readonly rank: number;
  readonly worldSize: number;
}

/** @throws M3lError M3L_DISTRIBUTED_ENVIRONMENT that names what is missing */
export function rendezvousOf(options: InitOptions): Rendezvous {
  const { initMethod = 'env://' } = options;
  const rank = options.rank ?? integerVariable('RANK', 'rank', 0);
  const worldSize = options.worldSize ?? integerVariable('WORLD_SIZE', 'worldSize', 1);
  if (rank >= worldSize) {
    throw fault(
      `found rank ${rank} of ${worldSize}, expected one from 0 to ${worldSize - 1} (RANK, WORLD_SIZE)`,
    );
  }
  const common = { rank, worldSize };
  if (initMethod.startsWith('file://')) {
    const address = initMethod.slice('file://'.length);
    if (address !== '') return { ...common, store: 'file', address, port: 0, hostsStore: false };
  }
  if (initMethod === 'env://') {
    // torchrun's agent then holds the store, also over several attempts.
    const byAgent = process.env.TORCHELASTIC_USE_AGENT_STORE === 'True';
    return {
      ...common,
      store: byAgent ? 'agent' : 'tcp',
      address: variable('MASTER_ADDR', 'initMethod'),
      port: portOf(integerVariable('MASTER_PORT', 'initMethod', 1), 'MASTER_PORT'),
      hostsStore: rank === 0 && !byAgent,
    };
  }
  const found = /^tcp:\/\/(?:\[([^\]]+)\]|([^:/[\]]+)):(\d+)\/?$/.exec(initMethod);
  if (found === null) {
    throw fault(
      `found ${describe(initMethod)} for initMethod, expected env://, tcp://HOST:PORT or file://PATH`,
    );
  }
  const port = portOf(Number(found[3]), 'initMethod');
  const address = found[1] ?? found[2]!;
  return { ...common, store: 'tcp', address, port, hostsStore: rank === 0 };
}

/** LOCAL_RANK, or `otherwise` where it is not set. */
export function integerOr(name: string, otherwise: number): number {
  return process.env[name] ? integerVariable(name, null, 0) : otherwise;
}

function variable(name: string, option: string | null): string {
  const value = process.env[name];
  if (value) return value;
  throw fault(
    `the environment has no ${name}: start the processes by torchrun or 'm3l train --nproc'` +
      (option === null ? '' : `, or give the option ${option}`),
  );
}

function integerVariable(name: string, option: string | null, least: number): number {
  const text = variable(name, option);
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw fault(`found ${name}=${text} in the environment, expected an integer from ${least} on`);
}

function portOf(port: number, name: string): number {
  if (port >= 1 && port <= 65535) return port;
  throw fault(`found the port ${port} (${name}), expected one from 1 to 65535`);
}

function fault(message: string): M3lError {
  return new M3lError('M3L_DISTRIBUTED_ENVIRONMENT', `initProcessGroup: ${message}`);
}
