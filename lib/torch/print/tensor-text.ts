/** Tensors as text: PyTorch's, with dtypes, layouts and flags by our names. */
import { setGradEnabled } from '../autograd.js';
import { isFloatingDType } from '../dtype.js';
import { cat } from '../generated/functions.js';
import { operator } from '../invoke.js';
import { layoutOf, sparseParts } from '../layout.js';
import { scope } from '../scope.js';
import { setPrinter, type Tensor } from '../tensor.js';
import { type Formatter, floatFormatter, wholeFormatter } from './formatter.js';
import { getPrintOptions } from './options.js';

setPrinter(tensorText);

/** What `console.log` shows of a tensor; never throws. */
export function tensorText(tensor: Tensor): string {
  if (!tensor.isLive) return 'tensor(disposed)';
  const recording = setGradEnabled(false);
  try {
    return scope(() => textOf(tensor));
  } catch (error) {
    return `tensor(<${(error as Error).message.split('\n')[0]}>)`;
  } finally {
    setGradEnabled(recording);
  }
}

const PREFIX = 'tensor(';
const DEFAULT_DTYPES = ['float32', 'complex64', 'int64', 'bool'];
const nonZeros = operator<(tensor: Tensor) => number>('_nnz', '');

function textOf(tensor: Tensor): string {
  const { dtype, device, shape } = tensor;
  const layout = layoutOf(tensor);
  const suffixes = device === 'cpu' ? [] : [`device='${device}'`];
  const isMeta = device === 'meta';
  const dtypeSuffix = `dtype=${dtype}`;
  let values: string;
  if (layout.startsWith('sparse')) {
    suffixes.push(`size=${tuple(shape)}`);
    if (!isMeta) suffixes.push(`nnz=${nonZeros(tensor)}`);
    if (!DEFAULT_DTYPES.includes(dtype)) suffixes.push(dtypeSuffix);
    values = sparseText(tensor);
  } else if (isMeta) {
    suffixes.push(`size=${tuple(shape)}`);
    if (dtype !== 'float32') suffixes.push(dtypeSuffix);
    values = '...';
  } else if (shape.includes(0)) {
    if (shape.length !== 1) suffixes.push(`size=${tuple(shape)}`);
    if (dtype !== 'float32') suffixes.push(dtypeSuffix);
    values = '[]';
  } else {
    if (getPrintOptions().edgeItems === 0) suffixes.push(`size=${tuple(shape)}`);
    if (!DEFAULT_DTYPES.includes(dtype)) suffixes.push(dtypeSuffix);
    values = valuesText(layout === 'strided' ? tensor : tensor.toDense(), PREFIX.length);
  }
  if (layout !== 'strided') suffixes.push(`layout=${layout}`);
  const { gradFn } = tensor;
  if (gradFn !== null) suffixes.push(`gradFn=<${gradFn.name}>`);
  else if (tensor.requiresGrad) suffixes.push('requiresGrad=true');
  return withSuffixes(PREFIX + values, suffixes, layout === 'sparse');
}

/** The parts of a sparse tensor, one below the other. */
function sparseText(tensor: Tensor): string {
  const { names, tensors } = sparseParts(tensor);
  const indent = ' '.repeat(PREFIX.length);
  const lines = tensors.map((part, i) => {
    const start = `${names[i]}=${PREFIX}`;
    const isMeta = part.device === 'meta';
    const values = isMeta ? '...' : valuesText(part, PREFIX.length + start.length);
    const size = isMeta || part.numel() === 0 ? `, size=${tuple(part.shape)}` : '';
    return `${start}${values}${size})`;
  });
  return lines.join(`,\n${indent}`);
}

function withSuffixes(text: string, suffixes: readonly string[], newLine: boolean): string {
  const { lineWidth } = getPrintOptions();
  let result = text;
  let line = text.length - text.lastIndexOf('\n') + 1;
  let force = newLine;
  for (const suffix of suffixes) {
    if (force || line + suffix.length + 2 > lineWidth) {
      result += `,\n${' '.repeat(PREFIX.length)}${suffix}`;
      line = PREFIX.length + suffix.length;
      force = false;
    } else {
      result += `, ${suffix}`;
      line += suffix.length + 2;
    }
  }
  return `${result})`;
}

/** A tuple of Python's. */
function tuple(sizes: readonly number[]): string {
  return `(${sizes.join(', ')}${sizes.length === 1 ? ',' : ''})`;
}

/** The elements that are shown, in row-major order, and how. */
interface Shown {
  readonly shape: readonly number[];
  /** Whether the middle of each dimension is left out. */
  readonly cut: readonly boolean[];
  readonly element: (index: number) => string;
  /** Characters of an element without what follows it. */
  readonly width: number;
}

function valuesText(tensor: Tensor, indent: number): string {
  if (tensor.numel() === 0) return '[]';
  const { threshold, edgeItems } = getPrintOptions();
  const summarised = tensor.numel() > threshold;
  const cut = tensor.shape.map((size) => summarised && size > 2 * edgeItems);
  const few = cut.some(Boolean) ? edges(tensor, cut, edgeItems) : tensor;
  const shown = { shape: few.shape, cut, ...elementsOf(few) };
  return shown.shape.length === 0 ? shown.element(0) : level(shown, 0, 0, indent);
}

/** The first and last elements of the dimensions that are cut. */
function edges(tensor: Tensor, cut: readonly boolean[], count: number): Tensor {
  return cut.reduce((rest, isCut, dim) => {
    if (!isCut) return rest;
    const last = rest.narrow(dim, rest.shape[dim]! - count, count);
    return cat([rest.narrow(dim, 0, count), last], dim);
  }, tensor.detach());
}

function elementsOf(tensor: Tensor): Pick<Shown, 'element' | 'width'> {
  const { dtype } = tensor;
  if (dtype.startsWith('complex')) return complexElements(tensor);
  const narrow = isFloatingDType(dtype) && dtype !== 'float64';
  const values = Array.from<number | bigint>(
    (narrow ? tensor.to('float32') : tensor).toTypedArray(),
  );
  const formatter: Formatter = isFloatingDType(dtype)
    ? floatFormatter(values as number[])
    : wholeFormatter(values, dtype === 'bool');
  return { element: (index) => formatter.format(values[index]!), width: formatter.width };
}

function complexElements(tensor: Tensor): Pick<Shown, 'element' | 'width'> {
  const wide = tensor.dtype === 'complex128' ? tensor : tensor.to('complex64');
  const pairs = Array.from(wide.toTypedArray() as Float64Array);
  const real = floatFormatter(pairs.filter((_, i) => i % 2 === 0));
  const imaginary = floatFormatter(pairs.filter((_, i) => i % 2 === 1));
  const element = (index: number) => {
    const turned = `${imaginary.format(pairs[2 * index + 1]!)}j`.trimStart();
    const sign = turned.startsWith('-') ? '' : '+';
    return `${real.format(pairs[2 * index]!)}${sign}${turned}`;
  };
  return { element, width: real.width + imaginary.width + 1 };
}

/** The brackets of one dimension; `at` is the first of its elements. */
function level(shown: Shown, dim: number, at: number, indent: number): string {
  const { shape, cut } = shown;
  if (dim === shape.length - 1) return row(shown, at, indent);
  const step = shape.slice(dim + 1).reduce((product, size) => product * size, 1);
  const parts = Array.from({ length: shape[dim]! }, (_, i) =>
    level(shown, dim + 1, at + i * step, indent + 1),
  );
  if (cut[dim]) parts.splice(shape[dim]! / 2, 0, '...');
  const gap = `,${'\n'.repeat(shape.length - dim - 1)}${' '.repeat(indent + 1)}`;
  return `[${parts.join(gap)}]`;
}

function row(shown: Shown, at: number, indent: number): string {
  const { shape, cut, element, width } = shown;
  const { lineWidth, edgeItems } = getPrintOptions();
  const count = shape.at(-1)!;
  const items = Array.from({ length: count }, (_, i) => element(at + i));
  if (cut.at(-1)) items.splice(count / 2, 0, edgeItems === 0 ? '...' : ' ...');
  const perLine = Math.max(1, Math.floor((lineWidth - indent) / (width + 2)));
  const lines: string[] = [];
  for (let i = 0; i < items.length; i += perLine) {
    lines.push(items.slice(i, i + perLine).join(', '));
  }
  return `[${lines.join(`,\n${' '.repeat(indent + 1)}`)}]`;
}
