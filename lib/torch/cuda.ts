import { core } from './native.js';

export { Graph } from './cuda-graph.js';

/** True where libtorch has CUDA and a device answers. */
export function isAvailable(): boolean {
  return core.cudaAvailable();
}

export function deviceCount(): number {
  return core.cudaDeviceCount();
}

/** Waits until the device has done all that was asked of it. */
export function synchronize(device = 'cuda:0'): void {
  core.cudaSynchronize(device);
}

/** Bytes in tensors, and bytes held from the driver by the caching allocator. */
export function memory(device = 'cuda:0'): { allocated: number; reserved: number } {
  return core.cudaMemory(device);
}

/** Gives unused cached memory back to the driver. */
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
  if (allowed !== undefined) core.setTf32(allowed);
  const [products, convolutions] = core.tf32();
  return { products, convolutions };
}
