/** `torch.signal.windows`: window functions of `M` points, whose largest possible value is 1. */
import { bindArguments } from '../arguments.js';
import { tensor } from '../creation.js';
import type { DType } from '../dtype.js';
import { ArgumentError } from '../errors.js';
import { arange, i0, linspace, ones } from '../generated/functions.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';

export interface WindowOptions {
  /** Symmetric, for filters: the default; else periodic, for spectra. */
  sym?: boolean;
  /** float32, the default, or float64. */
  dtype?: DType | null;
  device?: string | null;
  requiresGrad?: boolean;
}

const WINDOW = {
  sym: true,
  dtype: null as DType | null,
  layout: 'strided',
  device: null as string | null,
  requiresGrad: false,
};

interface Points {
  M: number;
  sym: boolean;
  dtype: DType;
  device: string;
  requiresGrad: boolean;
}

/** Makes a window of its points and its own arguments, once they are what they may be. */
function windowed<Own extends object>(
  name: string,
  own: Own,
  positional: number,
  make: (points: Points, own: Own) => Tensor,
) {
  return (M: number, ...args: unknown[]): Tensor => {
    const where = `signal.windows.${name}`;
    const bound = bindArguments(where, args, { ...own, ...WINDOW }, positional);
    const dtype = bound.dtype ?? 'float32';
    if (!Number.isInteger(M) || M < 0) {
      throw new ArgumentError(`${where}: M is ${M}, expected the number of points, at least 0`);
    }
    if ((dtype !== 'float32' && dtype !== 'float64') || bound.layout !== 'strided') {
      throw new ArgumentError(
        `${where}: found ${dtype} ${bound.layout}, expected float32 or float64, strided`,
      );
    }
    const { sym, requiresGrad } = bound;
    const device = bound.device ?? 'cpu';
    return scope(() => make({ M, sym, dtype, device, requiresGrad }, bound as unknown as Own));
  };
}

function spaced(start: number, end: number, { M, dtype, device, requiresGrad }: Points): Tensor {
  return linspace(start, end, M, { dtype, device, requiresGrad });
}

function one({ dtype, device, requiresGrad }: Points): Tensor {
  return ones([1], { dtype, device, requiresGrad });
}

/** Points from one end to the other; a periodic window leaves the last out. */
function lengthOf({ M, sym }: Points): number {
  return sym ? M - 1 : M;
}

/** As `lengthOf`, where one point is the middle either way. */
function spanOf({ M, sym }: Points): number {
  return !sym && M > 1 ? M : M - 1;
}

function positive(where: string, name: string, value: number, least = Number.MIN_VALUE): void {
  if (value >= least) return;
  throw new ArgumentError(
    `signal.windows.${where}: ${name} is ${value}, expected ${least === 0 ? 'at least 0' : 'more than 0'}`,
  );
}

export interface ExponentialOptions extends WindowOptions {
  /** Of a periodic window; default M / 2. */
  center?: number | null;
  /** How slowly it falls; default 1. */
  tau?: number;
}
/** exp(−|n − center| / tau). */
export const exponential: (M: number, options?: ExponentialOptions) => Tensor = windowed(
  'exponential',
  { center: null as number | null, tau: 1 },
  0,
  (points, { center, tau }) => {
    positive('exponential', 'tau', tau);
    if (points.sym && center !== null) {
      throw new ArgumentError(
        `signal.windows.exponential: center is ${center}, expected none in a symmetric window`,
      );
    }
    const middle = center ?? spanOf(points) / 2;
    return spaced(-middle / tau, (-middle + points.M - 1) / tau, points)
      .abs()
      .neg()
      .exp();
  },
);

/** sin(π (n + 1/2) / M). */
export const cosine: (M: number, options?: WindowOptions) => Tensor = windowed(
  'cosine',
  {},
  0,
  (points) => {
    const step = Math.PI / (spanOf(points) + 1);
    return spaced(step / 2, (points.M - 0.5) * step, points).sin();
  },
);

/** exp(−(n / std)² / 2) around the middle; std is 1 by default. */
export const gaussian: (M: number, options?: WindowOptions & { std?: number }) => Tensor = windowed(
  'gaussian',
  { std: 1 },
  0,
  (points, { std }) => {
    positive('gaussian', 'std', std);
    const scale = 1 / (std * Math.SQRT2);
    const start = -spanOf(points) / 2;
    return spaced(start * scale, (start + points.M - 1) * scale, points)
      .square()
      .neg()
      .exp();
  },
);

/** I₀(beta √(1 − x²)) / I₀(beta) for x from −1 to 1; beta is 12 by default. */
export const kaiser: (M: number, options?: WindowOptions & { beta?: number }) => Tensor = windowed(
  'kaiser',
  { beta: 12 },
  0,
  (points, { beta }) => {
    positive('kaiser', 'beta', beta, 0);
    const { M, dtype, device } = points;
    if (M === 1) return one(points);
    // Rounded as the points are: the root of a difference of squares is none else.
    const held = dtype === 'float32' ? Math.fround(beta) : beta;
    const end = Math.min(held, -held + ((M - 1) * 2 * held) / lengthOf(points));
    const k = M === 0 ? spaced(0, 0, points) : spaced(-held, end, points);
    const whole = tensor(held, { dtype, device });
    return i0(k.square().neg().add(whole.square()).sqrt()).div(i0(whole));
  },
);

/** 1 − |x| for x from −1 to 1. */
export const bartlett: (M: number, options?: WindowOptions) => Tensor = windowed(
  'bartlett',
  {},
  0,
  (points) => {
    if (points.M === 1) return one(points);
    const end = -1 + ((points.M - 1) * 2) / lengthOf(points);
    return spaced(-1, points.M === 0 ? -1 : end, points)
      .abs()
      .neg()
      .add(1);
  },
);

/** Σ (−1)ⁱ aᵢ cos(2π i n / (M − 1)). */
export const generalCosine: (
  M: number,
  a: readonly number[] | (WindowOptions & { a: readonly number[] }),
  options?: WindowOptions,
) => Tensor = windowed('generalCosine', { a: [] as readonly number[] }, 1, (points, { a }) =>
  cosines(points, a, 'generalCosine'),
);

/** alpha − (1 − alpha) cos(2π n / (M − 1)); alpha is 0.54 by default. */
export const generalHamming: (M: number, options?: WindowOptions & { alpha?: number }) => Tensor =
  windowed('generalHamming', { alpha: 0.54 }, 0, (points, { alpha }) =>
    cosines(points, [alpha, 1 - alpha], 'generalHamming'),
  );

/** `generalHamming` with alpha 0.54. */
export const hamming: (M: number, options?: WindowOptions) => Tensor = windowed(
  'hamming',
  {},
  0,
  (points) => cosines(points, [0.54, 0.46], 'hamming'),
);

/** `generalHamming` with alpha 0.5. */
export const hann: (M: number, options?: WindowOptions) => Tensor = windowed(
  'hann',
  {},
  0,
  (points) => cosines(points, [0.5, 0.5], 'hann'),
);

/** Three terms: 0.42, 0.5, 0.08. */
export const blackman: (M: number, options?: WindowOptions) => Tensor = windowed(
  'blackman',
  {},
  0,
  (points) => cosines(points, [0.42, 0.5, 0.08], 'blackman'),
);

/** Four terms after Nuttall (1981). */
export const nuttall: (M: number, options?: WindowOptions) => Tensor = windowed(
  'nuttall',
  {},
  0,
  (points) => cosines(points, [0.3635819, 0.4891775, 0.1365995, 0.0106411], 'nuttall'),
);

function cosines(points: Points, a: readonly number[], where: string): Tensor {
  if (!Array.isArray(a) || a.length === 0 || !a.every((term) => typeof term === 'number')) {
    throw new ArgumentError(`signal.windows.${where}: a is ${a}, expected at least one number`);
  }
  if (points.M === 1) return one(points);
  const { M, dtype, device } = points;
  const step = (2 * Math.PI) / Math.max(1, lengthOf(points));
  const k = spaced(0, (M - 1) * step, points);
  const terms = tensor(
    a.map((term, i) => (i % 2 === 0 ? term : -term)),
    { dtype, device },
  );
  const i = arange(0, a.length, { dtype, device });
  return terms.unsqueeze(-1).mul(i.unsqueeze(-1).mul(k).cos()).sum(0);
}
