import type { distributed } from '../torch/index.js';
import { UsageError } from './output.js';

/** Whether this process is one of several that torchrun or `--nproc` started. */
export function isOneOfSeveral(): boolean {
  return Number(process.env.WORLD_SIZE ?? 1) > 1;
}

/** Whether this process is the one that tells: the first of several, or the only one. */
export function tells(): boolean {
  return !isOneOfSeveral() || process.env.RANK === '0';
}

/**
 * Meets the other processes where there are some; null: this one is alone.
 * @param device that of the configuration, where it is known by now: with `cpu` they speak by Gloo alone, else
 *   by NCCL where there is CUDA, which has Gloo for tensors on the CPU
 */
export async function joinProcesses(
  device: string | undefined,
  timeoutSeconds: number,
): Promise<distributed.ProcessGroup | null> {
  if (!isOneOfSeveral()) return null;
  const torch = await import('../torch/index.js');
  const backend = device !== 'cpu' && torch.cuda.isAvailable() ? 'nccl' : 'gloo';
  return torch.distributed.initProcessGroup({ backend, timeoutSeconds });
}

/** @throws UsageError for `--nproc` in a process that torchrun started */
export function requireNotStarted(nproc: number): void {
  if (!isOneOfSeveral()) return;
  throw new UsageError(
    `--nproc ${nproc} in a process of WORLD_SIZE=${process.env.WORLD_SIZE}: expected one or the other. Leave out ` +
      '--nproc where torchrun starts the processes, or unset WORLD_SIZE.',
  );
}
