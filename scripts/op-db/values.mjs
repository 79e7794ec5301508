/** Values of PyTorch calls as scripts/golden/op_values.py wrote them. */
import { torch } from '../../dist/index.js';

/** Names of layouts and memory formats that JavaScript spells otherwise. */
const ENUMERATIONS = {
  contiguous_format: 'contiguous',
  preserve_format: 'preserve',
  channels_last: 'channelsLast',
  channels_last_3d: 'channelsLast3d',
  sparse_coo: 'sparse',
  sparse_csr: 'sparseCsr',
  sparse_csc: 'sparseCsc',
  sparse_bsr: 'sparseBsr',
  sparse_bsc: 'sparseBsc',
};

/** Where arguments are put; results are compared on the CPU. */
const device = process.env.M3L_OP_DB_DEVICE ?? 'cpu';

/** The JavaScript value of an argument, on the device. */
export function decodeArgument(value, said) {
  return onDevice(decode(value, said));
}

function onDevice(value) {
  if (value instanceof torch.Tensor) {
    return value.device === device
      ? value
      : value.detach().to({ device }).requiresGrad_(value.requiresGrad);
  }
  if (Array.isArray(value)) return value.map(onDevice);
  return value;
}

/** The JavaScript value; `said` says integral floats as such: `torch.scalar(2)`, not 2. */
export function decode(value, said = false) {
  if (typeof value === 'string') return ENUMERATIONS[value] ?? value;
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((item) => decode(item, said));
  if ('t' in value) return decodeTensor(value);
  const requiresGrad = value.grad === true;
  if ('coo' in value) {
    const [indices, values, size] = value.coo.map((part) => decode(part));
    return torch.sparseCooTensor(indices, values, size, { isCoalesced: true, requiresGrad });
  }
  if ('compressed' in value) {
    const [outer, inner, values, size] = value.compressed.map((part) => decode(part));
    const layout = decode(value.layout);
    return torch.sparseCompressedTensor(outer, inner, values, size, { layout, requiresGrad });
  }
  if ('int' in value) return BigInt(value.int);
  if ('complex' in value) return torch.scalar(...value.complex);
  if ('slice' in value) return value.slice.map((bound) => bound ?? '').join(':');
  if ('ellipsis' in value) return '...';
  const number = { inf: Infinity, '-inf': -Infinity, nan: NaN }[value.float] ?? value.float;
  return said && Number.isInteger(number) ? torch.scalar(number) : number;
}

function decodeTensor({ t, shape, data, grad, strides, offset, conj }) {
  const bytes = Buffer.from(data, 'base64');
  let tensor = strides
    ? torch.fromBytes(bytes, t).asStrided(shape, strides, offset)
    : torch.fromBytes(bytes, t, shape);
  if (conj) tensor = torch.conj(torch.conjPhysical(tensor));
  return grad ? tensor.requiresGrad_() : tensor;
}

export function tensorsIn(value) {
  if (value instanceof torch.Tensor) return [value];
  if (Array.isArray(value)) return value.flatMap(tensorsIn);
  const plain = value !== null && typeof value === 'object' && value.constructor === Object;
  return plain ? tensorsIn(Object.values(value)) : [];
}

/** As `seed` of scripts/golden/op-db.py: -0.75, -0.5, … 0.75 over and over. */
export function seed(tensor) {
  const values = Float32Array.from({ length: tensor.numel() }, (_, i) => ((i % 7) - 3) / 4);
  return torch
    .tensor(values, { shape: tensor.shape })
    .to({ dtype: tensor.dtype, device: tensor.device });
}

/** Why `found` is not what was expected, or null. Of tensors nobody has written, only what they are. */
export function difference(found, expected, unwritten = false) {
  if (Array.isArray(expected)) {
    const list = found !== null && typeof found === 'object' && Symbol.iterator in found;
    if (!list || found instanceof torch.Tensor) return `found ${name(found)}, expected a list`;
    const items = [...found];
    if (items.length !== expected.length) return `found ${items.length} of ${expected.length}`;
    for (let i = 0; i < items.length; i++) {
      const fault = difference(items[i], expected[i], unwritten);
      if (fault !== null) return `[${i}] ${fault}`;
    }
    return null;
  }
  if (expected instanceof torch.Tensor) {
    if (!(found instanceof torch.Tensor)) return `found ${name(found)}, expected a Tensor`;
    return tensorDifference(found.detach(), expected.detach(), unwritten);
  }
  const plain = typeof found === 'bigint' ? Number(found) : found;
  const same = typeof plain === 'number' && Math.abs(plain - expected) <= 1e-5 * Math.abs(expected);
  return same || Object.is(plain, expected) ? null : `found ${name(found)}, expected ${expected}`;
}

function name(value) {
  return value instanceof torch.Tensor ? `a Tensor of shape [${value.shape}]` : String(value);
}

function tensorDifference(found, expected, unwritten) {
  const kinds = [found, expected].map(
    (t) => `${t.dtype} [${t.shape}]${isDense(t) ? '' : ' sparse'}`,
  );
  if (kinds[0] !== kinds[1]) return `found ${kinds[0]}, expected ${kinds[1]}`;
  if (unwritten || found.numel() === 0) return null;
  const [a, b] = [found, expected].map(comparable);
  const close =
    a.dtype.startsWith('float') || a.dtype.startsWith('complex')
      ? torch.allclose(a, b, { rtol: 2e-5, atol: 1e-5, equalNan: true })
      : torch.equal(a, b);
  if (close) return null;
  return `the values differ: found ${show(a)}, expected ${show(b)}`;
}

/** Dense tensors have no sparse dimension. */
export function isDense(tensor) {
  return tensor.sparseDim() === 0;
}

/** Dense, and of a dtype that `allclose` takes. */
function comparable(tensor) {
  const here = tensor.cpu();
  const dense = isDense(here) ? here : here.toDense();
  const wide = { float16: 'float32', bfloat16: 'float32', complex32: 'complex64' }[dense.dtype];
  return wide ? dense.to(wide) : dense;
}

function show(tensor) {
  const real = tensor.dtype.startsWith('complex')
    ? torch.viewAsReal(torch.resolveConj(tensor))
    : tensor;
  return JSON.stringify(real.reshape([-1]).slice(0, 0, 4).toArray());
}
