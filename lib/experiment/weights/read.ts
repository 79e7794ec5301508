import type { StateDict } from '../../nn/index.js';
import * as torch from '../../torch/index.js';
import { CheckpointError } from '../errors.js';

/** Tensors by name, as a file has them. */
export interface WeightsFile {
  path: string;
  container: 'safetensors' | 'pth';
  tensors: StateDict;
  /** Of safetensors. */
  metadata: Record<string, string>;
}

/** Where programs keep the state dict beside other things, in the order in which they are looked for. */
const HOLDERS = ['state_dict', 'model_state_dict', 'model', 'net', 'weights', 'params'];

/**
 * Reads weights of whichever origin: safetensors, or what `torch.save` wrote, of which nothing is executed.
 * The tensors belong to the current scope.
 *
 * @throws CheckpointError M3L_PRETRAINED where there are no tensors by name; errors of `torch.load`
 */
export function readWeights(path: string): WeightsFile {
  if (isSafetensors(path)) {
    return { path, container: 'safetensors', ...torch.loadSafetensors(path) };
  }
  const saved = torch.load<unknown>(path);
  const tensors = stateOf(saved);
  if (tensors !== null) return { path, container: 'pth', tensors, metadata: {} };
  throw new CheckpointError(
    'M3L_PRETRAINED',
    `${path}: found ${described(saved)}, expected tensors by name (a state dict), by itself or as one of ` +
      `${HOLDERS.join(', ')}.`,
  );
}

function isSafetensors(path: string): boolean {
  try {
    torch.readSafetensorsHeader(path);
    return true;
  } catch (error) {
    // What names no other format is for its reader to explain.
    if (path.endsWith('.safetensors')) throw error;
    return false;
  }
}

function stateOf(saved: unknown): StateDict | null {
  if (!isRecord(saved)) return null;
  const holder = HOLDERS.find((name) => isRecord(saved[name]) && hasTensors(saved[name]));
  const root = holder === undefined ? saved : (saved[holder] as Record<string, unknown>);
  const found = Object.fromEntries(flattened(root, ''));
  return Object.keys(found).length > 0 ? found : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof torch.Tensor) &&
    !(value instanceof Map)
  );
}

function hasTensors(value: unknown): boolean {
  return flattened(value as Record<string, unknown>, '').length > 0;
}

/** The tensors below, named as a state dict of modules inside modules would. */
function flattened(record: Record<string, unknown>, prefix: string): [string, torch.Tensor][] {
  return Object.entries(record).flatMap(([key, value]): [string, torch.Tensor][] => {
    if (value instanceof torch.Tensor) return [[`${prefix}${key}`, value]];
    return isRecord(value) ? flattened(value, `${prefix}${key}.`) : [];
  });
}

function described(saved: unknown): string {
  if (saved instanceof torch.Tensor) return `a tensor [${saved.shape.join(', ')}]`;
  if (!isRecord(saved)) return Array.isArray(saved) ? `a list of ${saved.length}` : typeof saved;
  return `an object of ${Object.keys(saved).slice(0, 5).join(', ') || 'nothing'}`;
}
