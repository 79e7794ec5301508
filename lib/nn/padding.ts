import { requireNumbers, requireSizes } from './check.js';
import { type PadOptions, pad } from './functional/padding.js';
import { expanded, type Sizes } from './functional/shape.js';
import { layerWith } from './layer.js';

/**
 * Padding on every side, or [left, right, top, bottom, front, back] as far as there are. Negative
 * numbers cut off.
 */
type Padding = [padding: Sizes];

const requirePadding = (where: string, dims: 1 | 2 | 3, padding: Sizes) =>
  requireSizes(where, 'padding', padding, 2 * dims, Number.NEGATIVE_INFINITY);

const padding = (dims: 1 | 2 | 3, mode: PadOptions['mode']) =>
  layerWith<Padding, object>(
    (x, sizes) => pad(x, expanded(sizes, 2 * dims), { mode }),
    ['padding'],
    {},
    (where, sizes) => requirePadding(where, dims, sizes),
  );

const constant = (dims: 1 | 2 | 3) =>
  layerWith<[...Padding, value: number], object>(
    (x, sizes, value) => pad(x, expanded(sizes, 2 * dims), { value }),
    ['padding', 'value'],
    {},
    (where, sizes, value) => {
      requirePadding(where, dims, sizes);
      requireNumbers(where, { value });
    },
  );

/** Zeros around [B,C,L]. */
export class ZeroPad1d extends padding(1, 'constant') {}
/** Zeros around [B,C,H,W]. */
export class ZeroPad2d extends padding(2, 'constant') {}
/** Zeros around [B,C,D,H,W]. */
export class ZeroPad3d extends padding(3, 'constant') {}
/** A value around [B,C,L]. */
export class ConstantPad1d extends constant(1) {}
/** A value around [B,C,H,W]. */
export class ConstantPad2d extends constant(2) {}
/** A value around [B,C,D,H,W]. */
export class ConstantPad3d extends constant(3) {}
/** The mirror image around [B,C,L], without its edge. */
export class ReflectionPad1d extends padding(1, 'reflect') {}
/** The mirror image around [B,C,H,W], without its edge. */
export class ReflectionPad2d extends padding(2, 'reflect') {}
/** The mirror image around [B,C,D,H,W], without its edge. */
export class ReflectionPad3d extends padding(3, 'reflect') {}
/** The edge repeated around [B,C,L]. */
export class ReplicationPad1d extends padding(1, 'replicate') {}
/** The edge repeated around [B,C,H,W]. */
export class ReplicationPad2d extends padding(2, 'replicate') {}
/** The edge repeated around [B,C,D,H,W]. */
export class ReplicationPad3d extends padding(3, 'replicate') {}
/** The other end around [B,C,L]. */
export class CircularPad1d extends padding(1, 'circular') {}
/** The other end around [B,C,H,W]. */
export class CircularPad2d extends padding(2, 'circular') {}
/** The other end around [B,C,D,H,W]. */
export class CircularPad3d extends padding(3, 'circular') {}
