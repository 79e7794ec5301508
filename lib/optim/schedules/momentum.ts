import { OptimizerError } from '../state.js';
import type { Schedulable } from './schedule.js';

/** @throws {OptimizerError} where a group has no momentum for a cycle to move */
export function checkMomentum(where: string, optimizer: Schedulable): void {
  if (optimizer.groups.every(({ momentum, betas }) => (momentum ?? betas) !== undefined)) return;
  throw new OptimizerError(
    `${where}: found an optimizer without momentum and betas, expected one of them, or ` +
      'cycleMomentum: false',
  );
}

/** Sets the momentum of every group: the first of its betas where it has them. */
export function setMomentum(optimizer: Schedulable, values: readonly number[]): void {
  for (const [i, group] of optimizer.groups.entries()) {
    if (group.betas) group.betas = [values[i]!, group.betas[1]];
    else group.momentum = values[i]!;
  }
}
