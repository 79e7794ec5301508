import { ArgumentError, describe } from '../errors.js';
import { requireObject } from '../require.js';

/** How tensors are printed; the defaults are PyTorch's. */
export interface PrintOptions {
  /** Digits after the point. Default 4. */
  precision: number;
  /** More elements than these are summarised. Default 1000; Infinity for never. */
  threshold: number;
  /** So many elements at each end of a dimension are shown of a summary. Default 3. */
  edgeItems: number;
  /** Characters of a line. Default 80. */
  lineWidth: number;
  /** Whether numbers have an exponent; null: where their sizes ask for it. Default null. */
  sciMode: boolean | null;
}

const options: PrintOptions = {
  precision: 4,
  threshold: 1000,
  edgeItems: 3,
  lineWidth: 80,
  sciMode: null,
};

const LARGEST: Readonly<Record<string, number>> = {
  precision: 20,
  threshold: Infinity,
  edgeItems: 1000,
  lineWidth: Infinity,
};

/** How tensors are printed now. */
export function getPrintOptions(): PrintOptions {
  return { ...options };
}

/**
 * Changes how tensors are printed, in what is named; gives what was so before.
 * @throws ArgumentError for an unknown option or a value that it cannot have
 */
export function setPrintOptions(changes: Partial<PrintOptions>): PrintOptions {
  requireObject(changes, 'torch.setPrintOptions', Object.keys(options).join(', '));
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) checkOption(name, value);
  const before = getPrintOptions();
  Object.assign(options, Object.fromEntries(given));
  return before;
}

function checkOption(name: string, value: unknown): void {
  if (!Object.hasOwn(options, name)) {
    throw new ArgumentError(
      `torch.setPrintOptions: found the option '${name}', expected ${Object.keys(options).join(', ')}`,
    );
  }
  if (name === 'sciMode') {
    if (value === null || typeof value === 'boolean') return;
    throw new ArgumentError(
      `torch.setPrintOptions: sciMode: found ${describe(value)}, expected true, false or null`,
    );
  }
  const most = LARGEST[name]!;
  const fits = Number.isInteger(value) || (value === Infinity && most === Infinity);
  if (fits && (value as number) >= 0 && (value as number) <= most) return;
  throw new ArgumentError(
    `torch.setPrintOptions: ${name}: found ${describe(value)}, expected a whole number from 0 to ${most}`,
  );
}
