import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireChoice } from '../check.js';
import type { Given } from '../layer.js';

export interface GridSampleOptions {
  mode: 'bilinear' | 'nearest' | 'bicubic';
  /** What lies beyond the edges. */
  paddingMode: 'zeros' | 'border' | 'reflection';
  /** Whether -1 and 1 are the middles of the outermost pixels, rather than their outer edges. */
  alignCorners: boolean;
}
const MODES = ['bilinear', 'nearest', 'bicubic'];
const PADDINGS = ['zeros', 'border', 'reflection'];

/**
 * Values of [B,C,H,W] (or [B,C,D,H,W]) at the places of a grid [B,H',W',2] (or [B,D',H',W',3]), x
 * first, in [-1, 1] -> [B,C,H',W'].
 */
export function gridSample(
  x: Tensor,
  grid: Tensor,
  options: Given<GridSampleOptions> = {},
): Tensor {
  const defaults: GridSampleOptions = {
    mode: 'bilinear',
    paddingMode: 'zeros',
    alignCorners: false,
  };
  const { mode, paddingMode, alignCorners } = withDefaults('gridSample', defaults, options);
  requireChoice('gridSample', 'mode', mode, MODES);
  requireChoice('gridSample', 'paddingMode', paddingMode, PADDINGS);
  const codes = [MODES.indexOf(mode), PADDINGS.indexOf(paddingMode)] as const;
  return torch.gridSampler(x, grid, ...codes, alignCorners);
}

/** The grid of affine maps [B,2,3] (or [B,3,4]) for {@link gridSample}, for a result of size [B,C,H,W]. */
export function affineGrid(
  theta: Tensor,
  size: readonly number[],
  options: { alignCorners?: boolean } = {},
): Tensor {
  const { alignCorners } = withDefaults('affineGrid', { alignCorners: false }, options);
  return torch.affineGridGenerator(theta, size, alignCorners);
}
