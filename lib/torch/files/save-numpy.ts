/** Writing NumPy's files. */
import { writeAtomically } from '../atomic-write.js';
import { requireObject, requireText, withDefaults } from '../require.js';
import type { Tensor } from '../tensor.js';
import { npyChunks } from './npy.js';
import { zipChunks } from './zip-writer.js';

/**
 * Writes a tensor as NumPy's `np.save` does (.npy, C order), atomically.
 * @throws ArgumentError for a dtype that NumPy does not have (bfloat16, 8-bit floats, complex32)
 * @throws M3lError M3L_WRITE_FAILED
 */
export function saveNpy(path: string, tensor: Tensor): void {
  requireText(path, 'torch.saveNpy', 'the path of a file');
  writeAtomically(path, npyChunks(tensor, 'torch.saveNpy'));
}

/**
 * Writes tensors by name as NumPy's `np.savez` does (.npz), atomically.
 * @param options.compress pack them, as `np.savez_compressed`
 * @throws ArgumentError for a dtype that NumPy does not have
 * @throws M3lError M3L_WRITE_FAILED
 */
export function saveNpz(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  options: { compress?: boolean } = {},
): void {
  requireText(path, 'torch.saveNpz', 'the path of a file');
  requireObject(tensors, 'torch.saveNpz', 'tensors by name');
  const { compress } = withDefaults<{ compress: boolean }>(
    'torch.saveNpz',
    { compress: false },
    options,
  );
  const entries = Object.entries(tensors).map(([name, tensor]) => {
    const chunks = () => npyChunks(tensor, `torch.saveNpz: '${name}'`);
    const [header] = chunks();
    return { name: `${name}.npy`, size: header!.length + tensor.nbytes, chunks };
  });
  writeAtomically(path, zipChunks(entries, { compress, alignment: compress ? 1 : 64 }));
}
