/** The classes and functions that a pickle may name: those of tensors and plain containers. */
import { type DType, isDType, type Layout } from '../dtype.js';
import type { M3lError } from '../errors.js';
import { TypedScalar } from '../scalar.js';
import { numpyGlobals } from './numpy-pickles.js';
import { isOldTensor, OldTensor, stridedOf } from './old-tensors.js';
import type { PickleHost, PyGlobal } from './pickle-reader.js';
import { PyDict, PyList, PySet, PyTuple } from './pickle-values.js';
import {
  MetaTensor,
  metadataFlags,
  SparseTensor,
  StorageReference,
  type StorageTable,
  StorageType,
  StridedTensor,
} from './storages.js';

export type Fail = (reason: string) => M3lError;
type Call = (args: readonly unknown[]) => unknown;

const storageTypes: Readonly<Record<string, DType | null>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
  ComplexDoubleStorage: 'complex128',
  ComplexFloatStorage: 'complex64',
  UntypedStorage: null,
  _UntypedStorage: null,
};

const layouts: Readonly<Record<string, Layout>> = {
  'torch.strided': 'strided',
  'torch.sparse_coo': 'sparse',
  'torch.sparse_csr': 'sparseCsr',
  'torch.sparse_csc': 'sparseCsc',
  'torch.sparse_bsr': 'sparseBsr',
  'torch.sparse_bsc': 'sparseBsc',
};

/** Python 2's names of modules. */
const renamed: Readonly<Record<string, string>> = {
  __builtin__: 'builtins',
  'torch.tensor': 'torch._tensor',
};

/** What only stands as an argument of what is called. */
const names = [
  'torch.Tensor',
  'torch.nn.parameter.Buffer',
  'builtins.int',
  'builtins.float',
  'builtins.bool',
  'builtins.str',
  'builtins.object',
];

/** Of values in JavaScript's memory, whatever the file. */
const MOST_VALUES = 5_000_000;
const MOST_INSTRUCTIONS = 2 ** 26;
/** A packed pickle could hold a thousand of them a byte. */
const FEWEST_VALUES = 65_536;
const FEWEST_INSTRUCTIONS = 2 ** 20;

/** The world of one file's pickles; `fileSize` bounds what they may hold. */
export function pickleHost(table: StorageTable, fail: Fail, fileSize: number): PickleHost {
  const calls = new Map<string, Call>([
    ...Object.entries(containers(fail)),
    ...Object.entries(tensors(fail)),
    ...Object.entries(numpyGlobals(fail)),
  ]);
  const made = new Map<string, PyGlobal>(names.map((pyName) => [pyName, { pyName }]));

  return {
    fail,
    mostValues: Math.min(MOST_VALUES, FEWEST_VALUES + fileSize),
    mostInstructions: Math.min(MOST_INSTRUCTIONS, FEWEST_INSTRUCTIONS + 8 * fileSize),
    persistent: (id) => table.reference(id),
    global(module, name) {
      const path = `${renamed[module] ?? module}.${name}`;
      const known =
        made.get(path) ?? (/^torch(\.cuda|\.storage)?$/.test(module) && ofTorch(path, name));
      if (known) return known;
      const call = isOldTensor(path) ? () => new OldTensor(fail) : calls.get(path);
      if (call === undefined) throw fail(refusal(`${module}.${name}`));
      const global = { pyName: path, call };
      made.set(path, global);
      return global;
    },
  };
}

/** A dtype as its name, or the type of a storage. */
function ofTorch(path: string, name: string): DType | StorageType | null {
  if (isDType(name)) return name;
  if (Object.hasOwn(storageTypes, name)) return new StorageType(path, storageTypes[name]!);
  return null;
}

function refusal(name: string): string {
  return `its pickle asks for ${name.slice(0, 200)}, and only tensors and plain containers are read: nothing of a file is executed. In Python, where you trust the file, save what you need of it: x = torch.load('old.pth', weights_only=False), then torch.save(model.state_dict(), 'new.pth'), or of a dictionary torch.save(x['state_dict'], 'new.pth')`;
}

function containers(fail: Fail): Record<string, Call> {
  const dict: Call = ([items]) => {
    const made = new PyDict();
    if (items instanceof PyDict)
      items.keys.forEach((key, i) => void made.set(key, items.values[i]));
    else for (const pair of itemsOf(items ?? new PyList(), fail)) made.set(...pairOf(pair, fail));
    return made;
  };
  const set: Call = ([items]) => new PySet([...itemsOf(items ?? new PyList(), fail)]);
  return {
    'builtins.dict': dict,
    'collections.OrderedDict': dict,
    'collections.Counter': dict,
    'collections.defaultdict': ([, items]) => dict([items]),
    'builtins.set': set,
    'builtins.frozenset': set,
    'builtins.list': ([items]) => new PyList([...itemsOf(items ?? new PyList(), fail)]),
    'builtins.tuple': ([items]) => new PyTuple(itemsOf(items ?? new PyList(), fail)),
    'torch.Size': ([items]) => new PyTuple(itemsOf(items, fail)),
    'builtins.bytes': ([value]) => bytesOf(value, fail),
    'builtins.bytearray': ([value]) => bytesOf(value, fail),
    '_codecs.encode': ([text]) => bytesOf(text, fail),
    'builtins.complex': ([real, imaginary]) => {
      if (typeof real === 'number' && typeof imaginary === 'number') {
        return new TypedScalar([real, imaginary]);
      }
      throw fail('it has a complex number without two parts');
    },
    'torch.device': ([type, index]) => {
      if (typeof type !== 'string') throw fail('it has a device without a name');
      return index === undefined || index === null ? type : `${type}:${String(index)}`;
    },
    'torch.serialization._get_layout': ([name]) => {
      if (typeof name === 'string' && Object.hasOwn(layouts, name)) return layouts[name];
      throw fail('it has an unknown layout');
    },
    'torch.torch_version.TorchVersion': ([version]) => String(version),
  };
}

function tensors(fail: Fail): Record<string, Call> {
  const strided = (args: readonly unknown[], dtype: unknown, metadata: unknown): StridedTensor => {
    const [reference, offset, size, stride, requiresGrad] = args;
    if (!(reference instanceof StorageReference)) throw fail('it has a tensor without a storage');
    if (!isDType(dtype)) throw fail(`it has a tensor of the dtype ${String(dtype)}`);
    const tensor = new StridedTensor(reference, dtype, [offset, size, stride], fail);
    tensor.requiresGrad = requiresGrad === true;
    Object.assign(tensor, metadataFlags(metadata));
    return tensor;
  };
  const typed = (args: readonly unknown[], metadata?: unknown) =>
    strided(args, (args[0] as Partial<StorageReference> | undefined)?.dtype, metadata);
  const parameter: Call = ([data, requiresGrad]) => {
    if (data instanceof SparseTensor || data instanceof MetaTensor) {
      data.requiresGrad = requiresGrad === true;
      return data;
    }
    return stridedOf(data, fail).parameter(requiresGrad === true);
  };
  return {
    'torch._utils._rebuild_tensor': (args) => typed(args.slice(0, 4)),
    'torch._utils._rebuild_tensor_v2': (args) => typed(args, args[6]),
    'torch._utils._rebuild_tensor_v3': (args) => strided(args, args[6], args[7]),
    'torch._utils._rebuild_parameter': parameter,
    'torch._utils._rebuild_parameter_with_state': parameter,
    'torch.nn.parameter.Parameter': ([data, requiresGrad = true]) =>
      data === undefined ? new OldTensor(fail) : parameter([data, requiresGrad]),
    'torch._utils._rebuild_sparse_tensor': ([layout, data]) => {
      if (!(data instanceof PyTuple)) throw fail('it has a sparse tensor without parts');
      if (typeof layout === 'string' && layout.startsWith('sparse')) {
        return new SparseTensor(layout as Layout, data.items, fail);
      }
      throw fail('it has a sparse tensor without a sparse layout');
    },
    'torch._utils._rebuild_meta_tensor_no_storage': ([dtype, size, stride, requiresGrad]) => {
      if (!isDType(dtype)) throw fail(`it has a tensor of the dtype ${String(dtype)}`);
      const tensor = new MetaTensor(dtype, size, stride, fail);
      tensor.requiresGrad = requiresGrad === true;
      return tensor;
    },
    // A tensor with attributes of Python's, which have no place in ours.
    'torch._tensor._rebuild_from_type_v2': ([make, , args]) => {
      const call = (make as Partial<PyGlobal> | undefined)?.call;
      if (call && args instanceof PyTuple) return call(args.items);
      throw fail('it has a tensor that nothing makes');
    },
  };
}

function itemsOf(value: unknown, fail: Fail): readonly unknown[] {
  if (value instanceof PyList || value instanceof PyTuple || value instanceof PySet) {
    return value.items;
  }
  throw fail('it makes a container of what is no list');
}

function pairOf(value: unknown, fail: Fail): [unknown, unknown] {
  const [key, item, ...rest] = itemsOf(value, fail);
  if (rest.length === 0) return [key, item];
  throw fail('it makes a dictionary of what are no pairs');
}

/** Protocol 2 has no bytes: they are text of which each letter is one. */
export function bytesOf(value: unknown, fail: Fail): Uint8Array {
  if (value === undefined) return new Uint8Array(0);
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return new Uint8Array(Buffer.from(value, 'latin1'));
  throw fail('it makes bytes of what is no text');
}
