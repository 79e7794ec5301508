/** Which CUDA devices there are, and which one is current. */
import { ensureSynchronous } from './autograd.js';
import { checkArguments } from './check-arguments.js';
import { core } from './native.js';
import { callback, type Rule } from './rules.js';

/** A device by name or by index. */
export const deviceRule: Rule = {
  expected: "'cuda', 'cuda:N' or an index from 0 on",
  holds: (value) =>
    typeof value === 'number'
      ? Number.isInteger(value) && value >= 0 && value < 128
      : typeof value === 'string' && /^cuda(:\d{1,2})?$/.test(value),
};

/** The name of a device that keeps to `deviceRule`. */
export function deviceName(device: string | number): string {
  return typeof device === 'number' ? `cuda:${device}` : device;
}

/** True where libtorch has CUDA and a device answers. */
export function isAvailable(): boolean {
  return core.cudaAvailable();
}

/** How many CUDA devices libtorch sees; `CUDA_VISIBLE_DEVICES` leaves some out. */
export function deviceCount(): number {
  return core.cudaDeviceCount();
}

/**
 * The index of the device that `'cuda'` without an index means on this thread.
 * @throws M3lError M3L_NO_CUDA
 */
export function currentDevice(): number {
  return core.currentDevice('cuda');
}

/**
 * Makes a device the current one of this thread, for good; `withDevice` does for a while.
 * @throws M3lError M3L_NO_CUDA; M3L_DEVICE naming those that are there
 */
export function setDevice(device: string | number): void {
  checkArguments('cuda.setDevice', { device }, { device: deviceRule });
  core.exchangeDevice(deviceName(device));
}

/**
 * Runs synchronous `fn` with a device as the current one.
 * @throws M3lError M3L_NO_CUDA; M3L_DEVICE naming those that are there
 */
export function withDevice<T>(device: string | number, fn: () => T): T {
  checkArguments('cuda.withDevice', { device, fn }, { device: deviceRule, fn: callback });
  const before = core.exchangeDevice(deviceName(device));
  try {
    return ensureSynchronous(fn(), 'cuda.withDevice');
  } finally {
    core.exchangeDevice(`cuda:${before}`);
  }
}
