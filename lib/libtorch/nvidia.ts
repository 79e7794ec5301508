import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { LibtorchInstallError } from './errors.js';
import { PINS } from './pins.js';
import { pipRequirements } from './pip.js';
import { type FetchOptions, pinnedWheels } from './wheels.js';

/**
 * What a torch wheel's METADATA asks of NVIDIA, without conditions: its libraries, and the toolkit that
 * lists some. Not `cuda-bindings` and the like, which are for Python.
 */
export function nvidiaRequirements(metadata: string): string[] {
  return metadata
    .split(/\r?\n/)
    .map((line) => /^Requires-Dist: *((?:nvidia-|cuda-toolkit)[^;]*?) *(;|$)/.exec(line)?.[1])
    .filter((requirement) => requirement !== undefined);
}

/** What the pinned torch with CUDA asks for; another build of the same version asks for the same. */
const PINNED = [
  'cuda-toolkit[cublas,cudart,cufft,cufile,cupti,curand,cusolver,cusparse,nvjitlink,nvrtc,nvtx]==13.0.3',
  'nvidia-cudnn-cu13==9.24.0.43',
  'nvidia-cusparselt-cu13==0.8.1',
  'nvidia-nccl-cu13==2.30.7',
  'nvidia-nvshmem-cu13==3.4.5',
];

/**
 * Wheels of the libraries that a torch wheel which is not pinned needs: the pinned ones where it asks
 * for just these, else what pip makes of what it asks for.
 *
 * @throws LibtorchInstallError M3L_LIBTORCH_NETWORK, M3L_LIBTORCH_HASH, …
 */
export async function fetchLibraries(metadata: string, options: FetchOptions): Promise<string[]> {
  const requirements = nvidiaRequirements(metadata);
  if (requirements.length === 0) return [];
  const asked = [...requirements].sort().join('\n');
  if (asked === [...PINNED].sort().join('\n')) return pinnedWheels(PINS.cu130.libraries, options);
  const folder = join(options.store, 'pip');
  const { signal, reporter } = options;
  const failure = await pipRequirements(requirements, {
    folder,
    signal,
    log: (line) => reporter.log(line),
  });
  signal?.throwIfAborted();
  if (failure !== null) {
    throw new LibtorchInstallError(
      'M3L_LIBTORCH_NETWORK',
      `NVIDIA's libraries could not be fetched: pip: ${failure}. Configure an index for pip, or install the pinned libtorch: m3l libtorch install --variant cu130`,
    );
  }
  return readdirSync(folder)
    .filter((name) => /^nvidia_.*\.whl$/.test(name))
    .map((name) => join(folder, name));
}
