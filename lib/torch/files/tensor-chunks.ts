/** Values of tensors on their way into files. */
import { dtypeInfo } from '../dtype.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';

/** Tensors of more bytes are written in pieces: a typed array ends at 4 GiB. */
const LARGEST_PIECE = 1 << 30;

/** The bytes of a tensor's values in row-major order. */
export function* tensorBytes(tensor: Tensor): Generator<Uint8Array> {
  if (tensor.nbytes <= LARGEST_PIECE) yield bytesOf(tensor);
  else yield* pieces(tensor, Math.floor(LARGEST_PIECE / dtypeInfo(tensor.dtype).size));
}

/** So many elements at a time. */
function* pieces(tensor: Tensor, most: number): Generator<Uint8Array> {
  const flat = scope(() => tensor.detach().reshape([-1]));
  try {
    const [count] = flat.shape;
    for (let at = 0; at < count!; at += most) {
      yield scope(() => bytesOf(flat.narrow(0, at, Math.min(most, count! - at))));
    }
  } finally {
    flat.dispose();
  }
}

function bytesOf(tensor: Tensor): Uint8Array {
  const values = tensor.toTypedArray();
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
