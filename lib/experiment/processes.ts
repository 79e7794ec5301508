/** What processes that train one model together agree on; a process that is alone agrees with itself. */
import {
  frameworkNamed,
  type Peers,
  peersOf,
  type Trainer,
  type TrainerState,
} from '../learning/index.js';
import { ALONE } from '../learning/peers.js';
import type { distributed } from '../torch/index.js';
import * as torch from '../torch/index.js';
import type { Config, SettledConfig } from './config/config.js';
import { flattened } from './config/flattened.js';
import { RunError } from './errors.js';

/** The processes of a training; null: there is one. */
export type Group = distributed.ProcessGroup | null;

/** What may differ between the machines of a training. */
const OWN = /^(name|workers|threads|device|data\.root|checkpoint\..*)$/;

/** Whether this process is the one that writes. */
export function isFirst(group: Group): boolean {
  return group === null || group.rank === 0;
}

export function peersIn(group: Group): Peers {
  return group === null ? ALONE : peersOf(group);
}

/** Whether it is so in any of the processes. */
export function anywhere(group: Group, isSo: boolean): boolean {
  return group === null ? isSo : group.allGatherObject(isSo).includes(true);
}

/**
 * What the first process comes to, in all of them; what JSON can say of it.
 * @throws RunError M3L_RANK_FAILED in the others where it fails there
 */
export async function fromFirst<Result>(
  group: Group,
  work: () => Promise<Result> | Result,
): Promise<Result> {
  if (group === null) return work();
  type Said = { result: Result } | { error: string };
  const share = (said: Said | null) => group.broadcastObject(said as never) as unknown as Said;
  if (group.rank === 0) {
    try {
      const result = await work();
      share({ result });
      return result;
    } catch (error) {
      share({ error: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  }
  const said = share(null);
  if ('result' in said) return said.result;
  throw new RunError('M3L_RANK_FAILED', `rank 0 has ended this training: ${said.error}`);
}

/**
 * @throws RunError M3L_RANKS_DIFFER in all processes, naming the keys, where their configurations are not
 *   the same
 */
export function requireSameConfig(group: Group, config: Config | null): void {
  if (group === null) return;
  const own = [...flattened(config ?? {})].filter(([key]) => !OWN.test(key));
  const all = group.allGatherObject(own) as unknown as [string, string][][];
  const [first, ...others] = all.map((entries) => new Map(entries));
  for (const [i, other] of others.entries()) {
    const keys = [...new Set([...first!.keys(), ...other.keys()])];
    const odd = keys.filter((key) => first!.get(key) !== other.get(key));
    if (odd.length === 0) continue;
    const found = odd
      .slice(0, 5)
      .map(
        (key) => `${key} is ${first!.get(key) ?? 'unset'} there and ${other.get(key) ?? 'unset'}`,
      );
    throw new RunError(
      'M3L_RANKS_DIFFER',
      `rank 0 and rank ${i + 1} were given different configurations: ${found.join('; ')}. Start all ` +
        'processes with the same configuration file and the same --set.',
    );
  }
}

/** @throws RunError M3L_BATCH_PROCESSES where the processes cannot have equal parts of a batch */
export function requireDivisible({ batch, framework }: SettledConfig, group: Group): void {
  const worldSize = group?.worldSize ?? 1;
  const { needsUnlabelled } = frameworkNamed(framework.name);
  for (const key of ['labelled', 'unlabelled'] as const) {
    if (key === 'unlabelled' && !needsUnlabelled) continue;
    if (batch[key] % worldSize === 0) continue;
    const multiple = Math.ceil(batch[key] / worldSize) * worldSize;
    throw new RunError(
      'M3L_BATCH_PROCESSES',
      `batch.${key} is ${batch[key]} over ${worldSize} processes, expected a multiple of ${worldSize}: it is ` +
        `the size of the whole batch. Use --set batch.${key}=${multiple}, or fewer processes.`,
    );
  }
}

/** Brings the first process's state of a training to all. */
export function shareState(group: Group, trainer: Trainer): void {
  if (group === null) return;
  torch.scope(() => {
    const own = trainer.state();
    const first = group.rank === 0;
    const plan = group.broadcastObject(
      first
        ? {
            meta: own.meta as never,
            tensors: Object.entries(own.tensors).map(([name, { dtype, device, shape }]) => {
              return { name, dtype, onHost: device === 'cpu', shape: [...shape] };
            }),
          }
        : null,
    ) as unknown as Plan;
    const { device } = Object.values(own.tensors)[0]!;
    const tensors: Record<string, torch.Tensor> = {};
    for (const { name, dtype, onHost, shape } of plan.tensors) {
      const where = { dtype, device: onHost ? 'cpu' : device };
      const tensor = first ? own.tensors[name]! : torch.empty(shape, where);
      torch.noGrad(() => group.broadcast(tensor));
      tensors[name] = tensor;
    }
    if (!first) trainer.loadState({ tensors, meta: plan.meta });
  });
}

interface Plan {
  meta: TrainerState['meta'];
  tensors: { name: string; dtype: torch.DType; onHost: boolean; shape: number[] }[];
}

/**
 * This process's device: of `cuda` without a number, or of `auto` where there is CUDA, the one of its place
 * among its machine's processes.
 */
export function deviceOf(device: string, group: Group): string {
  const byPlace = device === 'cuda' || (device === 'auto' && torch.cuda.isAvailable());
  if (!byPlace || (group === null && process.env.LOCAL_RANK === undefined)) return device;
  return `cuda:${torch.distributed.localRank()}`;
}
