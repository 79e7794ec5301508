import { addonMend, libtorchMend } from './installation.js';

/**
 * The one error class of the package. `code` is stable and starts with `M3L_`; the message names the
 * value found, the value expected and the mend.
 */
export class M3lError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** An argument that an operator or a function of this package cannot take. */
export class ArgumentError extends M3lError {
  constructor(message: string, options?: ErrorOptions) {
    super('M3L_ARGUMENT', message, options);
  }
}

/** No usable libtorch: `refusals` says, place by place, what was tried and why it did not do. */
export class LibtorchNotFoundError extends M3lError {
  readonly mend: string;

  constructor(readonly refusals: readonly string[]) {
    const mend = libtorchMend(refusals);
    super(
      'M3L_LIBTORCH_NOT_FOUND',
      `no usable libtorch was found. Tried:\n${listed(refusals)}\nMend: ${mend}.`,
    );
    this.mend = mend;
  }
}

/** The compiled addon is missing or does not load: `refusals` says what was tried. */
export class AddonNotFoundError extends M3lError {
  readonly mend: string;

  constructor(readonly refusals: readonly string[]) {
    const mend = addonMend(refusals);
    super(
      'M3L_ADDON_NOT_FOUND',
      `the native addon could not be loaded. Tried:\n${listed(refusals)}\nMend: ${mend}.`,
    );
    this.mend = mend;
  }
}

function listed(refusals: readonly string[]): string {
  return refusals.map((line) => `  - ${line}`).join('\n');
}

/**
 * Whether Node's own functions threw this: the system refused (`ENOSPC`), or a path can be no path (one
 * with a NUL).
 */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return (
    error instanceof Error &&
    !(error instanceof M3lError) &&
    'code' in error &&
    typeof error.code === 'string'
  );
}

/** How a value reads in an error message: its kind, and its value where that is short. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return `the string '${value.slice(0, 60)}'`;
  if (typeof value === 'function') return `the function ${value.name || '(anonymous)'}`;
  if (typeof value !== 'object') return `the ${typeof value} ${String(value)}`;
  if (Array.isArray(value)) {
    const shown = value.slice(0, 8).map((item) => (typeof item === 'object' ? kindOf(item) : item));
    return `the array [${shown.map(String).join(', ')}${value.length > 8 ? ', …' : ''}]`;
  }
  const kind = kindOf(value);
  if (kind === 'Object') return 'an object';
  return `${/^[AEIO]/.test(kind) ? 'an' : 'a'} ${kind}`;
}

function kindOf(value: unknown): string {
  if (value === null || typeof value !== 'object') return String(value);
  return value.constructor?.name ?? 'object';
}
