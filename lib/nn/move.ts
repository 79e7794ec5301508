import { ArgumentError, describe } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { type Role, register } from './parameter.js';

/** What {@link Module.to} takes. */
export interface MoveOptions {
  device?: string;
  /** Applies to floating-point parameters and buffers only. */
  dtype?: torch.DType;
  /** Applies to parameters and buffers of four dimensions only: the weights of convolutions. */
  memoryFormat?: 'contiguous' | 'channelsLast';
}

const MOVES = ['device', 'dtype', 'memoryFormat'];

/** The options that a dtype, a device or options are. */
export function moveOptions(target: MoveOptions | string): MoveOptions {
  if (typeof target === 'string') {
    const isDType = (torch.dtypes as readonly string[]).includes(target);
    return moveOptions(isDType ? { dtype: target as torch.DType } : { device: target });
  }
  if (target === null || typeof target !== 'object') {
    throw new ArgumentError(
      `Module.to: found ${describe(target)}, expected a dtype, a device or { device, dtype, memoryFormat }`,
    );
  }
  const stray = Object.keys(target).find((key) => !MOVES.includes(key));
  if (stray !== undefined) {
    throw new ArgumentError(
      `Module.to: found the option '${stray}', expected one of ${MOVES.join(', ')}`,
    );
  }
  if (target.dtype !== undefined && !isFloating(target.dtype)) {
    throw new ArgumentError(
      `Module.to: found the dtype '${target.dtype}', expected one of floats: only those parameters change`,
    );
  }
  return target;
}

function isFloating(dtype: string): boolean {
  return dtype.includes('float');
}

/** `cuda` and `cuda:0` name the same device. */
function sameDevice(a: string, b: string): boolean {
  const full = (device: string) => (device === 'cuda' ? 'cuda:0' : device);
  return full(a) === full(b);
}

/** Whether a tensor is to be replaced by another. */
export function changes(tensor: Tensor, { dtype, device, memoryFormat }: MoveOptions): boolean {
  if (dtype && isFloating(tensor.dtype) && dtype !== tensor.dtype) return true;
  return (tensor.ndim === 4 && !!memoryFormat) || (!!device && !sameDevice(device, tensor.device));
}

/** A tensor of the same role as the options want it. */
export function moveTensor(
  tensor: Tensor,
  role: Role,
  { dtype, device, memoryFormat }: MoveOptions,
): Tensor {
  const options: torch.ToOptions = { copy: true };
  if (dtype && isFloating(tensor.dtype)) options.dtype = dtype;
  if (device) options.device = device;
  if (memoryFormat && tensor.ndim === 4) options.memoryFormat = memoryFormat;
  const moved = register(role, () => tensor.detach().to(options));
  return role === 'parameter' ? moved.requiresGrad_(tensor.requiresGrad) : moved;
}
