import { checkArguments } from './check-arguments.js';
import { deviceName, deviceRule } from './cuda-device.js';
import { core } from './native.js';
import { ops } from './ops.js';
import { flag, maybe } from './rules.js';

export { currentDevice, deviceCount, isAvailable, setDevice, withDevice } from './cuda-device.js';
export { Graph } from './cuda-graph.js';
export {
  currentStream,
  defaultStream,
  Event,
  type EventOptions,
  Stream,
  type StreamOptions,
  withStream,
} from './cuda-stream.js';

/** Waits until the device has done all that was asked of it, on every stream; the event loop waits too. */
export function synchronize(device: string | number = 'cuda'): void {
  checkArguments('cuda.synchronize', { device }, { device: deviceRule });
  core.synchronizeDevice(deviceName(device));
}

/** As `synchronize`, on another thread: the event loop goes on. */
export async function synchronizeAsync(device: string | number = 'cuda'): Promise<void> {
  checkArguments('cuda.synchronizeAsync', { device }, { device: deviceRule });
  await core.synchronizeDeviceAsync(deviceName(device));
}

/** What a device is. */
export interface DeviceProperties {
  name: string;
  /** Its compute capability, as [9, 0]. */
  capability: [major: number, minor: number];
  /** Bytes. */
  totalMemory: number;
  multiprocessors: number;
}

/**
 * What a device is: its name, its compute capability, its memory.
 * @throws M3lError M3L_NO_CUDA, M3L_DEVICE
 */
export function deviceProperties(device: string | number = 'cuda'): DeviceProperties {
  checkArguments('cuda.deviceProperties', { device }, { device: deviceRule });
  const named = `cuda:${core.currentDevice(deviceName(device))}`;
  const [name, major, minor, totalMemory, multiprocessors] = ops.m3l!.cuda_device_properties!(
    named,
  ) as [string, number, number, number, number];
  return { name, capability: [major, minor], totalMemory, multiprocessors };
}

/** Bytes of a device, at one moment. */
export interface DeviceMemory {
  /** In tensors. */
  allocated: number;
  /** The most that was, since the start or `resetPeakMemoryStats`. */
  peak: number;
  /** Held from the driver by libtorch's caching allocator, in use or not. */
  reserved: number;
  peakReserved: number;
  /** What the driver has left, for whichever process. */
  free: number;
  total: number;
}

/** Bytes in tensors, bytes held from the driver by the caching allocator, and those that are left. */
export function memory(device: string | number = 'cuda'): DeviceMemory {
  checkArguments('cuda.memory', { device }, { device: deviceRule });
  const name = deviceName(device);
  const stats = core.memoryStatistics(name);
  return {
    allocated: stats['allocatedBytes.current']!,
    peak: stats['allocatedBytes.peak']!,
    reserved: stats['reservedBytes.current']!,
    peakReserved: stats['reservedBytes.peak']!,
    ...core.deviceMemory(name),
  };
}

/**
 * All that the caching allocator counts: `allocatedBytes`, `requestedBytes`, `activeBytes`, `reservedBytes`,
 * `inactiveSplitBytes`, `allocations` and `segments`, each with `.current`, `.peak`, `.allocated` and `.freed`;
 * `allocationRetries`; `outOfMemory`, how often it had to refuse.
 */
export function memoryStats(device: string | number = 'cuda'): Record<string, number> {
  checkArguments('cuda.memoryStats', { device }, { device: deviceRule });
  return core.memoryStatistics(deviceName(device));
}

/** From now on `peak` is the most since now. */
export function resetPeakMemoryStats(device: string | number = 'cuda'): void {
  checkArguments('cuda.resetPeakMemoryStats', { device }, { device: deviceRule });
  core.resetPeakMemory(deviceName(device));
}

/** Gives unused cached memory back to the driver; does nothing where there is no device. */
export function emptyCache(): void {
  core.emptyCache();
}

/** What may be computed in TF32 on CUDA: products of matrices, convolutions. */
export interface Tf32 {
  products: boolean;
  convolutions: boolean;
}

/**
 * Whether float32 products and convolutions on CUDA may use TF32 (10 bits of mantissa, several times
 * faster on Ampere and later). Sets both where `allowed` is given, for the whole process, and tells what
 * then is so. Until it is set, as in PyTorch: convolutions may, products may not.
 */
export function allowTf32(allowed?: boolean): Tf32 {
  checkArguments('cuda.allowTf32', { allowed }, { allowed: maybe(flag) });
  if (allowed !== undefined) core.setTf32(allowed);
  const [products, convolutions] = core.tf32();
  return { products, convolutions };
}
