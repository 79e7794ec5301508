/** The operators of torch.ops.m3l_distributed, opened at the first use, and their errors by code. */
import { ArgumentError, M3lError } from '../errors.js';
import { openDistributed } from '../native.js';
import { type OperatorFunction, ops } from '../ops.js';

let opened: 'no' | 'gloo' | 'nccl' = 'no';

/** @throws AddonNotFoundError */
export function openOperators(backend: 'gloo' | 'nccl'): void {
  if (opened === backend || opened === 'nccl') return;
  openDistributed(backend === 'nccl');
  opened = backend;
}

/** Calls an operator by its name. */
export function call(name: string, ...args: unknown[]): unknown {
  try {
    return operator(name)(...args);
  } catch (error) {
    throw coded(error);
  }
}

/** The same on another thread. */
export async function callAsync(name: string, ...args: unknown[]): Promise<unknown> {
  try {
    return await operator(name).async(...args);
  } catch (error) {
    throw coded(error);
  }
}

function operator(name: string): OperatorFunction {
  if (opened === 'no') openOperators('gloo');
  return ops.m3l_distributed![name]!;
}

/** An operator's error can have no code of its own: it begins its message with it. */
function coded(error: unknown): unknown {
  if (!(error instanceof M3lError)) return error;
  const found = /(M3L_DISTRIBUTED_[A-Z]+): (.*)/s.exec(error.message);
  if (found === null) return error;
  const [, code = '', message = ''] = found;
  if (code === 'M3L_DISTRIBUTED_ARGUMENT') return new ArgumentError(message, { cause: error });
  return new M3lError(code, message, { cause: error });
}
