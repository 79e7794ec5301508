import type { Keep } from './kept.js';

/**
 * The wheels that an installation takes, by content: whoever delivers them, they are these bytes.
 *
 * Sizes and hashes were read from the files themselves: torch 2.13.0+cpu as /opt/wheels held it on the
 * project's machine, torch 2.14.1 and NVIDIA's as its package index did (an index page names the
 * same sha256). The addresses follow from PyTorch's and PyPI's own rules for them; neither could be
 * reached from there.
 */
export interface Wheel {
  file: string;
  /** Bytes of the file. */
  size: number;
  /** Of the file, in hex. */
  sha256: string;
  url: string;
}

export interface Pin {
  variant: Variant;
  /** As `torch.__version__` says it. */
  version: string;
  /** Of its folder in the cache. */
  name: string;
  /** Torch's own wheel. */
  torch: Wheel;
  /** NVIDIA's libraries that it needs, each a wheel of its own. */
  libraries: readonly Wheel[];
  /** Bytes of what is kept. */
  unpacked: Record<Keep, number>;
}

export const VARIANTS = ['cpu', 'cu130'] as const;
export type Variant = (typeof VARIANTS)[number];

/** A file of PyPI: its address is the BLAKE2b-256 of its content. */
function pypi(file: string, size: number, sha256: string, blake2b: string): Wheel {
  const path = `${blake2b.slice(0, 2)}/${blake2b.slice(2, 4)}/${blake2b.slice(4)}`;
  return { file, size, sha256, url: `https://files.pythonhosted.org/packages/${path}/${file}` };
}

/** A file of PyTorch's own index. */
function pytorch(folder: string, file: string, size: number, sha256: string): Wheel {
  const url = `https://download.pytorch.org/whl/${folder}/${encodeURIComponent(file)}`;
  return { file, size, sha256, url };
}

/**
 * What torch 2.14.1's METADATA asks of NVIDIA: `cuda-toolkit[cublas,cudart,cufft,cufile,cupti,curand,
 * cusolver,cusparse,nvjitlink,nvrtc,nvtx]==13.0.3`, which is no more than a list of the first eleven,
 * and the last four by name. Its other requirements (cuda-bindings, triton, …) are for Python.
 */
const CUDA_130: readonly Wheel[] = [
  pypi(
    'nvidia_cublas-13.1.1.3-py3-none-manylinux_2_27_x86_64.whl',
    423_138_758,
    '37936a16db8fe4ac1f065c2139360608a543a09275cb1a1af612e08cfa065436',
    '3bcd154ca20c38269e05eff77c1464e6c1da89f50a6390b565e9d82e06bc11e1',
  ),
  pypi(
    'nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    2_243_632,
    '7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548',
    '2e24d1558f3b68b1d26e706813b1d10aa1d785e4698c425af8db8edc3dced472',
  ),
  pypi(
    'nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    214_085_489,
    '6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3',
    'a82f7b57e29836ea8714f81e9898409196f47d772d5ddedddf1592eadb8ab743',
  ),
  pypi(
    'nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    1_223_672,
    '08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44',
    '3f704f193de89a48b71714e74602ee14d04e4019ad36a5a9f20c425776e72cd6',
  ),
  pypi(
    'nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl',
    10_715_597,
    '4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8',
    '336d737d164b4837a9bbd202f5ae3078975f0525a55730fe871d8ed4e3b952b0',
  ),
  pypi(
    'nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl',
    59_544_258,
    '1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc',
    'a59fbe0a41ca4a4917abf5cb9ae0daff1a6060cc5de950aec0396de9f3b52bc5',
  ),
  pypi(
    'nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl',
    200_941_980,
    '0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112',
    '5f67cba3777620cdacb99102da4042883709c41c709f4b6323c10781a9c3aa34',
  ),
  pypi(
    'nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    145_942_937,
    '2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b',
    'fa18623c77619c31d62efd55302939756966f3ecc8d724a14dab2b75f1508850',
  ),
  pypi(
    'nvidia_nvjitlink-13.4.92-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    42_452_378,
    'e0391f24ed94ec879b84e3da4d4ec320c879aff681f2c7a638462f7199284323',
    '1d6beef7a9e32872b8f41e145bf10cddc9af26e153c338852811fe9a9baddf9e',
  ),
  pypi(
    'nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    90_215_200,
    'ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575',
    'c368483a78f5e8f31b08fb1bb671559968c0ca3a065ac7acabfc7cee55214fd6',
  ),
  pypi(
    'nvidia_nvtx-13.0.85-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl',
    148_047,
    '4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4',
    'c2f3d86c845465a2723ad7e1e5c36dcd75ddb82898b3f53be47ebd429fb2fa5d',
  ),
  pypi(
    'nvidia_cudnn_cu13-9.24.0.43-py3-none-manylinux_2_27_x86_64.whl',
    553_099_438,
    '71f181cd810e90f9b6023b01186fe82d13d65f0ec098581ee201d39fad769e4b',
    '5cba791cffd048fe5b044e620df55267e3e95c0e6e07d50b41e377c03dfc910f',
  ),
  pypi(
    'nvidia_cusparselt_cu13-0.8.1-py3-none-manylinux2014_x86_64.whl',
    170_148_586,
    '786ce87568c303fadb5afcc7102d454cd3040d75f6f8626f5db460d1871f4dd0',
    '347d2661f2fb3ac4302f3a246f5fc030213ac60c1fe0bce84f9783dbd831dbb7',
  ),
  pypi(
    'nvidia_nccl_cu13-2.30.7-py3-none-manylinux_2_18_x86_64.whl',
    215_965_170,
    'cefa7fdb9710efd0f39c5f1be1d61ff6fc9a996c451265bd7fbdcf9455ed4b50',
    '3f34c500f90c7ae641b8e0f98965b36b8a7ac79cc8b296e8d251fe3eb592ee54',
  ),
  pypi(
    'nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    60_412_546,
    '290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80',
    '3c35a9bf80a609e74e3b000fef598933235c908fcefcef9026042b8e6dfde2a9',
  ),
];

export const PINS: Record<Variant, Pin> = {
  cpu: {
    variant: 'cpu',
    version: '2.13.0+cpu',
    name: '2.13.0-cpu',
    torch: pytorch(
      'cpu',
      'torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl',
      191_794_682,
      '6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b',
    ),
    libraries: [],
    unpacked: { runtime: 437e6, headers: 476e6, whole: 700e6 },
  },
  cu130: {
    variant: 'cu130',
    version: '2.14.1+cu130',
    name: '2.14.1-cu130',
    torch: pypi(
      'torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl',
      554_581_699,
      '305a61f61f35f128579f299c5bd33d475f6a01c6307336139632e30856c4854d',
      'aa4f7af6fbada912b3023cc79b6ab30f89234b258a9a373880ea52ed914a2ae9',
    ),
    libraries: CUDA_130,
    unpacked: { runtime: 4082e6, headers: 4122e6, whole: 4496e6 },
  },
};

/** The wheels of a pin, torch's first. */
export function wheelsOf(pin: Pin, libraries = true): Wheel[] {
  return libraries ? [pin.torch, ...pin.libraries] : [pin.torch];
}
