import { describe, M3lError } from '../torch/errors.js';
import { Tensor } from '../torch/index.js';

/** Options or a state that an optimizer cannot take. Code `M3L_OPTIM`. */
export class OptimizerError extends M3lError {
  constructor(message: string) {
    super('M3L_OPTIM', message);
  }
}

/** What an optimizer saves. */
export interface OptimizerState {
  /** By `PARAMETER.NAME`, parameters counted from 0 over all groups. */
  tensors: Record<string, Tensor>;
  /** Plain JSON. */
  meta: { algorithm: string; groups: Record<string, unknown>[] };
}

/** The tensors of a parameter's state and their shapes: scalars are float32, others of its dtype. */
export type StateNames = Readonly<
  Record<string, 'scalar' | 'like the parameter' | readonly number[]>
>;

export interface StateTarget {
  algorithm: string;
  groups: readonly { readonly params: readonly Tensor[] }[];
  /** The state of a parameter in a group with these options, each of the group's kind. Throws for options out of range. */
  namesFor(options: Record<string, unknown>, parameter: Tensor): StateNames;
}

/** A state that fits: its tensors by parameter and name, and the options of each group. */
export interface CheckedState {
  tensors: { parameter: Tensor; name: string; tensor: Tensor }[];
  groups: Record<string, unknown>[];
}

/** Throws {@link OptimizerError} where a value has not the parts of a state, whatever is in them. */
export function requireState(state: unknown): asserts state is OptimizerState {
  const { tensors, meta } = isRecord(state) ? state : {};
  if (!isRecord(tensors) || !isRecord(meta)) {
    throw new OptimizerError(
      `found ${describe(state)} for a state, expected what stateDict() gives: { tensors, meta }`,
    );
  }
  const stray = Object.entries(tensors).find(([, tensor]) => !(tensor instanceof Tensor));
  if (stray === undefined) return;
  throw new OptimizerError(
    `State '${stray[0].slice(0, 60)}' is ${describe(stray[1])}, expected a Tensor.`,
  );
}

/** The state with options in its groups that it lacks. */
export function withOptions(state: OptimizerState, options: object): OptimizerState {
  const { groups } = state.meta;
  if (!Array.isArray(groups) || !groups.every(isRecord)) return state;
  return {
    ...state,
    meta: { ...state.meta, groups: groups.map((each) => ({ ...options, ...each })) },
  };
}

/**
 * Looks at all of a state, which may come from any file, before any of it is taken.
 * @throws {OptimizerError} naming what does not fit
 */
export function checkState({ tensors, meta }: OptimizerState, target: StateTarget): CheckedState {
  if (meta.algorithm !== target.algorithm) {
    throw new OptimizerError(
      `State of ${String(meta.algorithm).slice(0, 60)}, expected ${target.algorithm}.`,
    );
  }
  if (!Array.isArray(meta.groups) || !meta.groups.every(isRecord)) {
    throw new OptimizerError('State whose groups are no list of objects.');
  }
  const found = meta.groups.map(({ parameters }) => JSON.stringify(parameters)).join(', ');
  const expected = target.groups.map(({ params }) => params.length).join(', ');
  if (found !== expected) {
    throw new OptimizerError(
      `State of groups with ${found.slice(0, 200)} parameters, expected ${expected}. ` +
        'Build the optimizer with the groups that it was saved with.',
    );
  }
  const groups = meta.groups.map((group, index) => optionsFor(target.groups[index]!, group, index));
  const owners = target.groups.flatMap(({ params }, index) => {
    const names = (parameter: Tensor) => target.namesFor(groups[index]!, parameter);
    return params.map((parameter) => ({ parameter, names: names(parameter) }));
  });
  return { groups, tensors: tensorsFor(tensors, owners) };
}

/** The options of a group, each of the kind that the group has it in. */
function optionsFor(
  group: object,
  { parameters: _, ...options }: Record<string, unknown>,
  index: number,
): Record<string, unknown> {
  const { params: __, ...own } = group as Record<string, unknown>;
  for (const [key, value] of Object.entries(options)) {
    const at = `State of group ${index}: ${key.slice(0, 60)}`;
    if (!Object.hasOwn(own, key)) {
      throw new OptimizerError(`${at} is no option, expected ${Object.keys(own).join(', ')}.`);
    }
    if (kindOf(value) !== kindOf(own[key])) {
      throw new OptimizerError(`${at} is ${kindOf(value)}, expected ${kindOf(own[key])}.`);
    }
  }
  const missing = Object.keys(own).find((key) => !Object.hasOwn(options, key));
  if (missing !== undefined) {
    throw new OptimizerError(`State of group ${index} has no ${missing}.`);
  }
  return options;
}

function tensorsFor(
  tensors: Record<string, Tensor>,
  owners: { parameter: Tensor; names: StateNames }[],
): CheckedState['tensors'] {
  const counts = owners.map(() => 0);
  const checked = Object.entries(tensors).map(([key, tensor]) => {
    const [, index, name] = /^(0|[1-9]\d{0,8})\.(\w+)$/.exec(key) ?? [];
    const owner = index === undefined ? undefined : owners[Number(index)];
    const names = owner?.names ?? owners[0]!.names;
    const shape = name !== undefined && Object.hasOwn(names, name) ? names[name] : undefined;
    if (owner === undefined || shape === undefined) {
      throw new OptimizerError(
        `State '${key.slice(0, 60)}' belongs to nothing, expected ` +
          `'PARAMETER.NAME' with a parameter from 0 to ${owners.length - 1} and as name ` +
          `${Object.keys(names).join(', ') || 'none'}.`,
      );
    }
    const { parameter } = owner;
    const given = shape === 'scalar' ? [] : shape;
    const wanted = given === 'like the parameter' ? parameter.shape : given;
    const dtype = shape === 'scalar' ? 'float32' : parameter.dtype;
    if (tensor.shape.join() !== wanted.join() || tensor.dtype !== dtype) {
      throw new OptimizerError(
        `State '${key}' has shape [${tensor.shape}] and dtype ${tensor.dtype}, expected ` +
          `[${wanted}] and ${dtype}.`,
      );
    }
    counts[Number(index)]! += 1;
    return { parameter, name: name!, tensor };
  });
  for (const [index, { names }] of owners.entries()) {
    const expected = Object.keys(names);
    if (counts[index] === 0 || counts[index] === expected.length) continue;
    throw new OptimizerError(
      `State of parameter ${index} has ${counts[index]} tensors, expected ` +
        `${expected.join(', ')}.`,
    );
  }
  return checked;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) {
    return `a list of ${value.length === 0 ? 'nothing' : value.map(kindOf).join(', ')}`.slice(
      0,
      60,
    );
  }
  if (typeof value === 'number') return Number.isFinite(value) ? 'a number' : 'no finite number';
  return value === null ? 'null' : `a ${typeof value}`;
}
