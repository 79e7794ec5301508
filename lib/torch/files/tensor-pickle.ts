/** How PyTorch's pickles describe a tensor. */
import { type DType, dtypeInfo, type Layout } from '../dtype.js';
import { layoutOf } from '../layout.js';
import { core } from '../native.js';
import type { Tensor } from '../tensor.js';
import type { PickleWriter } from './pickle-writer.js';
import type { Part, StoragesToWrite } from './storages-to-write.js';

/** The types of storages; tensors of other dtypes lie in bytes. */
const storageNames: Partial<Record<DType, string>> = {
  float64: 'DoubleStorage',
  float32: 'FloatStorage',
  float16: 'HalfStorage',
  bfloat16: 'BFloat16Storage',
  int64: 'LongStorage',
  int32: 'IntStorage',
  int16: 'ShortStorage',
  int8: 'CharStorage',
  uint8: 'ByteStorage',
  bool: 'BoolStorage',
  complex128: 'ComplexDoubleStorage',
  complex64: 'ComplexFloatStorage',
};

const layoutNames: Partial<Record<Layout, string>> = {
  sparse: 'torch.sparse_coo',
  sparseCsr: 'torch.sparse_csr',
  sparseCsc: 'torch.sparse_csc',
  sparseBsr: 'torch.sparse_bsr',
  sparseBsc: 'torch.sparse_bsc',
};

export function pickleTensor(
  pickle: PickleWriter,
  tensor: Tensor,
  storages: StoragesToWrite,
): void {
  const parts = storages.parts(tensor);
  const layout = layoutNames[layoutOf(tensor)];
  if (layout !== undefined) writeSparse(pickle, tensor, layout, parts);
  else if (tensor.device === 'meta') writeMeta(pickle, tensor);
  else writeStrided(pickle, parts[0]!, tensor.requiresGrad);
}

function writeStrided(
  pickle: PickleWriter,
  { tensor, storage }: Part,
  requiresGrad: boolean,
): void {
  const { dtype } = storage;
  const type = storageNames[dtype];
  const { size } = dtypeInfo(dtype);
  const count = storage.end - storage.start;
  pickle.global('torch._utils', type ? '_rebuild_tensor_v2' : '_rebuild_tensor_v3');
  pickle.mark();
  pickle.mark();
  pickle.text('storage');
  if (type) pickle.global('torch', type);
  else pickle.global('torch.storage', 'UntypedStorage');
  pickle.text(storage.key);
  pickle.text('cpu');
  pickle.int(type ? count : count * size);
  pickle.tuple();
  pickle.persistent();
  pickle.int(core.storageOffset(tensor.handle) - storage.start);
  writeSizes(pickle, tensor.shape);
  writeSizes(pickle, core.strides(tensor.handle));
  pickle.bool(requiresGrad);
  writeNoHooks(pickle);
  if (!type) pickle.global('torch', dtype);
  pickle.tuple();
  pickle.reduce();
}

function writeMeta(pickle: PickleWriter, tensor: Tensor): void {
  pickle.global('torch._utils', '_rebuild_meta_tensor_no_storage');
  pickle.mark();
  pickle.global('torch', tensor.dtype);
  writeSizes(pickle, tensor.shape);
  writeSizes(pickle, core.strides(tensor.handle));
  pickle.bool(tensor.requiresGrad);
  pickle.tuple();
  pickle.reduce();
}

function writeSparse(
  pickle: PickleWriter,
  tensor: Tensor,
  layout: string,
  parts: readonly Part[],
): void {
  pickle.global('torch._utils', '_rebuild_sparse_tensor');
  pickle.global('torch.serialization', '_get_layout');
  pickle.text(layout);
  pickle.tuple(1);
  pickle.reduce();
  pickle.mark();
  for (const part of parts) writeStrided(pickle, part, false);
  pickle.global('torch', 'Size');
  writeSizes(pickle, tensor.shape);
  pickle.tuple(1);
  pickle.reduce();
  if (layout === 'torch.sparse_coo') pickle.bool(tensor.isCoalesced());
  pickle.tuple();
  pickle.tuple(2);
  pickle.reduce();
}

function writeNoHooks(pickle: PickleWriter): void {
  pickle.global('collections', 'OrderedDict');
  pickle.tuple(0);
  pickle.reduce();
}

function writeSizes(pickle: PickleWriter, sizes: readonly number[]): void {
  pickle.mark();
  for (const size of sizes) pickle.int(size);
  pickle.tuple();
}
