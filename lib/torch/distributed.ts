/**
 * Processes that compute together, on one machine or several, over libtorch's c10d: Gloo for tensors of
 * the CPU, NCCL for those of CUDA devices. Each process is a rank; `torchrun --no-python` or
 * `m3l train --nproc` starts them.
 */
import { checkArguments } from './check-arguments.js';
import {
  type InitOptions,
  integerOr,
  type Rendezvous,
  rendezvousOf,
} from './distributed/environment.js';
import { call, openOperators } from './distributed/operators.js';
import { ProcessGroup } from './distributed/process-group.js';
import { AddonNotFoundError, M3lError } from './errors.js';
import { packageVersion } from './installation.js';
import { core, libtorch } from './native.js';
import { withDefaults } from './require.js';
import { count, flag, index, maybe, oneOf, positive, text } from './rules.js';

export type { InitOptions } from './distributed/environment.js';
export { type BucketOptions, GradientBuckets } from './distributed/gradient-buckets.js';
export type { JsonValue, ProcessGroup, ReduceOperation } from './distributed/process-group.js';
export type { Work } from './distributed/work.js';

/** Of the group in use; false in a thread that did not make it and in one without. */
let checks = true;

/**
 * Meets the other ranks, and connects to them; returns when all have come. One group a process, for all
 * its threads. By default all comes from the environment that torchrun sets: RANK, WORLD_SIZE,
 * MASTER_ADDR, MASTER_PORT. Ranks whose version of m3l or libtorch, world size, backend or checks differ
 * are refused. Gloo uses the interface that leads to the store, or GLOO_SOCKET_IFNAME.
 * @throws M3lError M3L_DISTRIBUTED_ENVIRONMENT for a variable that is missing or senseless,
 *   M3L_DISTRIBUTED_STORE where the meeting place is not reached or its port in use,
 *   M3L_DISTRIBUTED_TIMEOUT that names the ranks which did not come, M3L_DISTRIBUTED_MISMATCH,
 *   M3L_DISTRIBUTED_BACKEND for NCCL without CUDA, M3L_DISTRIBUTED_STATE for a second group
 */
export function initProcessGroup(options: InitOptions = {}): ProcessGroup {
  const given = withDefaults('initProcessGroup', defaults, options);
  checkArguments('initProcessGroup', given, {
    backend: oneOf('gloo', 'nccl'),
    initMethod: text,
    rank: maybe(index),
    worldSize: maybe(count),
    timeoutSeconds: positive,
    checkCollectives: flag,
  });
  const { backend, timeoutSeconds, checkCollectives } = given;
  requireCuda(backend);
  const place = rendezvousOf(given);
  openOperators(backend);
  call(
    'init',
    ...[backend, place.store, place.address, place.port, place.hostsStore],
    ...[
      ...[place.rank, place.worldSize, Math.ceil(timeoutSeconds * 1000)],
      ...['m3l', agreement(place, backend, checkCollectives)],
    ],
  );
  checks = checkCollectives;
  return processGroup();
}

/**
 * The group of this process, whichever thread has made it.
 * @throws M3lError M3L_DISTRIBUTED_STATE where there is none
 */
export function processGroup(): ProcessGroup {
  const [rank, worldSize, backend] = call('describe') as [number, number, string];
  return new ProcessGroup(rank, worldSize, backend, checks);
}

/** Whether this process has a group. */
export function isInitialized(): boolean {
  return isAvailable() && (call('is_initialized') as boolean);
}

/** Whether this build of m3l and its libtorch have process groups. */
export function isAvailable(): boolean {
  try {
    openOperators('gloo');
    return true;
  } catch (error) {
    if (error instanceof AddonNotFoundError) return false;
    throw error;
  }
}

/**
 * Leaves the group, if there is one, after what was begun has ended. A process may end without; whoever
 * goes on to another group may not. That one may meet at the same address, and no rank need wait for the others
 * to leave.
 */
export function destroyProcessGroup(): void {
  if (isAvailable()) call('destroy');
}

/** Which of its machine's processes this is, by torchrun's LOCAL_RANK: 0 where that is not set. */
export function localRank(): number {
  return integerOr('LOCAL_RANK', 0);
}

const defaults: { [Key in keyof Required<InitOptions>]: InitOptions[Key] } & {
  backend: 'gloo' | 'nccl';
  timeoutSeconds: number;
  checkCollectives: boolean;
} = {
  backend: 'gloo',
  initMethod: 'env://',
  rank: undefined,
  worldSize: undefined,
  timeoutSeconds: 600,
  checkCollectives: true,
};

function requireCuda(backend: string): void {
  const { cuda, version } = libtorch();
  if (backend !== 'nccl' || (cuda && core.cudaAvailable())) return;
  const [lack, mend] = cuda
    ? ['sees no CUDA device', "see 'npx m3l doctor' for the reason"]
    : ['has no CUDA', "install one that has ('npx m3l libtorch install --variant cu130')"];
  throw new M3lError(
    'M3L_DISTRIBUTED_BACKEND',
    `initProcessGroup: found the backend 'nccl' and the libtorch ${version}, which ${lack}: take 'gloo', or ${mend}`,
  );
}

/** What all ranks must have alike, as an error shows it. */
function agreement({ worldSize }: Rendezvous, backend: string, checked: boolean): string {
  const version = libtorch().version?.split('+', 1)[0] ?? 'unknown';
  const of = `m3l ${packageVersion() ?? 'unknown'}, libtorch ${version}`;
  return `${of}, ${worldSize} ranks, ${backend}, checks ${checked ? 'on' : 'off'}`;
}
