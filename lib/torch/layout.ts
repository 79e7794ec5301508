/** How a tensor's values are stored. */
import type { Layout } from './dtype.js';
import { operator } from './invoke.js';
import { core } from './native.js';
import type { Tensor } from './tensor.js';

const unary = (name: string) => operator<(tensor: Tensor) => Tensor>(name, '');
const indicesOf = unary('_indices');
const valuesOf = unary('_values');
const crowIndices = unary('crow_indices');
const colIndices = unary('col_indices');
const ccolIndices = unary('ccol_indices');
const rowIndices = unary('row_indices');
const compressedValues = unary('values');

/** The layout of a tensor. */
export function layoutOf(tensor: Tensor): Layout {
  return core.layout(tensor.handle) as Layout;
}

/** What a sparse tensor consists of: its indices by PyTorch's names, then its values. */
export function sparseParts(tensor: Tensor): { names: readonly string[]; tensors: Tensor[] } {
  const layout = layoutOf(tensor);
  if (layout === 'sparse') {
    return { names: ['indices', 'values'], tensors: [indicesOf(tensor), valuesOf(tensor)] };
  }
  const values = compressedValues(tensor);
  if (layout === 'sparseCsr' || layout === 'sparseBsr') {
    const names = ['crow_indices', 'col_indices', 'values'];
    return { names, tensors: [crowIndices(tensor), colIndices(tensor), values] };
  }
  const names = ['ccol_indices', 'row_indices', 'values'];
  return { names, tensors: [ccolIndices(tensor), rowIndices(tensor), values] };
}
