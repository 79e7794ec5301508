import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireChoice } from '../check.js';
import type { Given } from '../layer.js';

export interface PadOptions {
  mode: 'constant' | 'reflect' | 'replicate' | 'circular';
  /** What `constant` fills with. */
  value: number | null;
}

const MODES = ['constant', 'reflect', 'replicate', 'circular'];

/** Pads the last dimensions; sizes [left, right] of the last one first, then of the one before. */
export function pad(x: Tensor, sizes: readonly number[], options: Given<PadOptions> = {}): Tensor {
  const defaults: PadOptions = { mode: 'constant', value: null };
  const { mode, value } = withDefaults('pad', defaults, options);
  requireChoice('pad', 'mode', mode, MODES);
  return torch.pad(x, sizes, mode, value);
}
