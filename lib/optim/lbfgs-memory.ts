import * as torch from '../torch/index.js';
import { checkState, OptimizerError, type OptimizerState, requireState } from './state.js';

/** What L-BFGS remembers from one iteration to the next; flat vectors over all parameters. */
export interface Memory {
  direction: torch.Tensor;
  gradient: torch.Tensor;
  length: number;
  scale: number;
  moves: torch.Tensor[];
  changes: torch.Tensor[];
}

type Group = Record<string, unknown> & { readonly params: readonly torch.Tensor[] };

/** The options of the group, and what is remembered, under PyTorch's names and as those of parameter 0. */
export function stateOf(memory: Memory | null, group: Group): OptimizerState {
  const { params, ...options } = group;
  const meta = { algorithm: 'LBFGS', groups: [{ ...options, parameters: params.length }] };
  if (memory === null) return { tensors: {}, meta };
  const number = (value: number) => torch.tensor(value, { dtype: 'float64' });
  const listed = (name: string, list: readonly torch.Tensor[]) =>
    list.map((tensor, i) => [`0.${name}.${i}`, tensor] as const);
  const tensors = Object.fromEntries([
    ['0.d', memory.direction],
    ['0.prev_flat_grad', memory.gradient],
    ['0.t', number(memory.length)],
    ['0.H_diag', number(memory.scale)],
    ...listed('old_stps', memory.moves),
    ...listed('old_dirs', memory.changes),
  ]);
  return { tensors, meta };
}

/**
 * Looks at all of a state before any of it is taken.
 * @param checkOptions throws for options out of range
 * @returns the options, and copies of what was remembered
 * @throws {OptimizerError} naming what does not fit
 */
export function memoryOf(
  state: OptimizerState,
  group: Group,
  checkOptions: (options: Record<string, unknown>) => void,
): { memory: Memory | null; options: Record<string, unknown> } {
  requireState(state);
  const { tensors, meta } = state;
  const target = {
    algorithm: 'LBFGS',
    groups: [group],
    namesFor(options: Record<string, unknown>) {
      checkOptions(options);
      return {};
    },
  };
  const options = checkState({ tensors: {}, meta }, target).groups[0]!;
  const names = Object.keys(tensors);
  if (names.length === 0) return { memory: null, options };

  const size = group.params.reduce((sum, tensor) => sum + tensor.numel(), 0);
  const { dtype, device } = group.params[0]!;
  const fitting = (name: string, shape: string, kind: string): torch.Tensor => {
    const tensor = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
    if (tensor?.shape.join() === shape && tensor.dtype === kind) return tensor;
    const found = tensor ? `${tensor.dtype} [${tensor.shape}]` : 'nothing';
    throw new OptimizerError(`State '${name}' is ${found}, expected ${kind} [${shape}].`);
  };
  const vector = (name: string) => fitting(name, String(size), dtype);
  const number = (name: string) => fitting(name, '', 'float64').item();
  const count = names.filter((name) => name.startsWith('0.old_dirs.')).length;
  const most = options.historySize as number;
  if (count > most || names.length !== 4 + 2 * count) {
    throw new OptimizerError(
      `State of ${names.length} tensors, ${count} of them old_dirs, expected as many old_stps, at most ${most}, and four others.`,
    );
  }
  const listed = (name: string) =>
    Array.from({ length: count }, (_, i) => vector(`0.${name}.${i}`));
  const found = {
    direction: vector('0.d'),
    gradient: vector('0.prev_flat_grad'),
    moves: listed('old_stps'),
    changes: listed('old_dirs'),
  };
  const numbers = { length: number('0.t'), scale: number('0.H_diag') };
  const copy = (tensor: torch.Tensor) => tensor.detach().to({ device, copy: true });
  const memory = torch.detached(() => ({
    direction: copy(found.direction),
    gradient: copy(found.gradient),
    moves: found.moves.map(copy),
    changes: found.changes.map(copy),
  }));
  return { memory: { ...memory, ...numbers }, options };
}
