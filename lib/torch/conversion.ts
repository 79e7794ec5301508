/** What `x.to(…)` may be given. */
import { type DType, isDType, type MemoryFormat } from './dtype.js';
import { ArgumentError, describe } from './errors.js';

/** What `Tensor.to` takes by name. */
export interface ToOptions {
  dtype?: DType;
  device?: string;
  memoryFormat?: MemoryFormat;
  /** Always copy, even where nothing changes. */
  copy?: boolean;
  /** Return before a copy between devices is complete. */
  nonBlocking?: boolean;
}

const DEVICE = /^[a-z]+(:\d+)?$/;
const NAMES: readonly (keyof ToOptions)[] = [
  'dtype',
  'device',
  'memoryFormat',
  'copy',
  'nonBlocking',
];

/**
 * The options that Python's forms stand for: a dtype, a device and a dtype, a tensor's; then whether not to
 * block and whether to copy; then options.
 * @throws ArgumentError for anything else
 */
export function toOptions(args: readonly unknown[]): ToOptions {
  const found: ToOptions = {};
  const flags: (keyof ToOptions)[] = ['nonBlocking', 'copy'];
  for (const [i, value] of args.entries()) {
    if (value === undefined && i > 0) continue;
    if (isDType(value)) set(found, 'dtype', value);
    else if (typeof value === 'string' && DEVICE.test(value)) set(found, 'device', value);
    else if (typeof value === 'boolean' && i > 0) set(found, flags.shift(), value);
    else if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      for (const [key, option] of Object.entries(value)) {
        if (option !== undefined) set(found, key as keyof ToOptions, option);
      }
    } else {
      throw new ArgumentError(
        `Tensor.to: expected a dtype, a device, a Tensor or { dtype, device, memoryFormat }, found ${describe(value)}`,
      );
    }
  }
  return found;
}

function set(found: ToOptions, name: keyof ToOptions | undefined, value: unknown): void {
  if (name === undefined || !NAMES.includes(name)) {
    const what = name === undefined ? 'a third flag' : `the option '${name}'`;
    throw new ArgumentError(`Tensor.to: found ${what}, expected one of ${NAMES.join(', ')}`);
  }
  if (Object.hasOwn(found, name)) {
    throw new ArgumentError(`Tensor.to: ${name} is given twice: ${found[name]} and ${value}`);
  }
  Object.assign(found, { [name]: value });
}
