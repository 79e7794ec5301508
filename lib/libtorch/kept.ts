/** Which files of a torch wheel, an unpacked libtorch or one of NVIDIA's wheels are kept. */

/** A shared library's name: `libgomp.so.1`, `libgomp-98df74fd.so.1.0.0`. */
const LIBRARY = /^[^/]+\.so(\.[\w.]+)?$/;

/**
 * Libraries that nothing of ours needs: those of Python and of PyTorch's tests, and of NVIDIA's those
 * that neither torch nor what it needs opens or names (read from the libraries of 2.14.1).
 */
const UNNEEDED = new RegExp(
  `^lib(${[
    'torch_python|shm|torchbind_test|jitbackend_test|backend_with_compiler|aoti_custom_ops',
    'cusolverMg|nvblas|cufftw|checkpoint|pcsamplingutil|nvrtc\\.alt|nvrtc-builtins\\.alt',
  ].join('|')})\\.so`,
);

const LICENCE = /(^|\/)(licen[cs]es?|notices?|copying|third[-_ ]?party[-_ ]?notices?)\b[^/]*$/i;

/**
 * How much of a libtorch is kept: what runs, also what a compiler needs, or also what Python needs (all
 * of it; the clone's benchmarks compare with PyTorch).
 */
export type Keep = 'runtime' | 'headers' | 'whole';

/**
 * Whether a path is kept. Paths are as in a wheel: `torch/lib/libc10.so`, `nvidia/cudnn/lib/…`,
 * `torch-2.13.0.dist-info/licenses/LICENSE`.
 */
export function isKept(path: string, keep: Keep): boolean {
  if (keep === 'whole') return true;
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (/^(torch|nvidia\/(.+\/)?[^/]+)\/lib\/[^/]+$/.test(path)) {
    return LIBRARY.test(name) && !UNNEEDED.test(name);
  }
  if (/^torch\/(version\.py|build-version|build-hash)$/.test(path)) return true;
  if (/^[^/]+\.dist-info\//.test(path)) {
    return name === 'METADATA' || LICENCE.test(path) || path.includes('.dist-info/licenses/');
  }
  if (/^(torch\/[^/]+|nvidia\/[^/]+\/[^/]+)$/.test(path)) return LICENCE.test(path);
  return (
    keep === 'headers' && /^(torch\/(include|share\/cmake)|nvidia\/[^/]+\/include)\//.test(path)
  );
}

/** The cache's name of a version: `2.13.0+cpu` is `2.13.0-cpu`. */
export function nameOf(version: string, cuda: boolean): string {
  const [plain = '', local = ''] = version.split('+', 2);
  const variant = local === '' ? (cuda ? 'cuda' : 'cpu') : local;
  return `${plain}-${variant}`.replaceAll(/[^\w.-]/g, '-');
}

/** The variant in a name: `cpu`, `cu130`, `cuda`. */
export function variantOf(name: string): string {
  return name.slice(name.indexOf('-') + 1);
}
