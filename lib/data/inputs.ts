import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { sampleColour, sampleDepth } from './augment.js';
import { DataError } from './errors.js';
import { type NearestRule, resizeGeometry } from './geometry.js';
import { type ModalitySpec, readPlane } from './modality.js';
import { resizeNearest, resizeSmooth } from './resize.js';

export interface InputOptions {
  /** [height, width] to predict at. Default: that of the images. */
  readonly size?: readonly [number, number];
  /** As `DatasetOptions.resize`: done first, so that a prediction sees what the training saw. */
  readonly resize?: readonly [number, number] | null;
  /** Of depth. Default `half-pixel`. */
  readonly nearest?: NearestRule;
  readonly device?: string;
}

/** The inputs of one prediction; the tensors belong to no scope. */
export interface LoadedInputs {
  /** M × [1, 3, H, W] float32 (depth's channels share their memory), or null where no file was given. */
  inputs: (Tensor | null)[];
  /** [height, width] of the files: what predictions are resized to. */
  size: [number, number];
}

/**
 * Reads the images of one scene as an evaluation would, some of which may be missing (null).
 * @throws DataError as `readPlane`; M3L_SIZE_MISMATCH; M3L_DATA_OPTIONS where no file is given
 */
export async function loadInputs(
  specs: readonly ModalitySpec[],
  files: readonly (string | null)[],
  options: InputOptions = {},
): Promise<LoadedInputs> {
  const planes = await Promise.all(
    specs.map((spec, m) => {
      const file = files[m];
      return file ? readPlane(spec, file) : null;
    }),
  );
  const at = planes.findIndex((plane) => plane !== null);
  const first = planes[at];
  if (!first) {
    throw new DataError(
      'M3L_DATA_OPTIONS',
      `found no image, expected at least one of ${specs.map((spec) => spec.name).join(', ')}.`,
    );
  }
  planes.forEach((plane, m) => {
    if (!plane || (plane.width === first.width && plane.height === first.height)) return;
    throw new DataError(
      'M3L_SIZE_MISMATCH',
      `${files[m]}: found ${plane.width} × ${plane.height} pixels, expected ${first.width} × ` +
        `${first.height} as ${files[at]} has. The images of a scene must be aligned.`,
    );
  });
  const [height, width] = options.size ?? options.resize ?? [first.height, first.width];
  const { nearest } = options;
  const geometry = resizeGeometry(width, height, nearest);
  const arrays = planes.map((plane, m) => {
    if (!plane) return null;
    const colour = specs[m]!.kind === 'rgb';
    const resized = !options.resize
      ? plane
      : colour
        ? resizeSmooth(plane, ...options.resize)
        : resizeNearest(plane, ...options.resize, nearest);
    return colour ? sampleColour(resized, geometry) : sampleDepth(resized, geometry);
  });
  const { device = 'cpu' } = options;
  const inputs = torch.detached(() =>
    torch.scope(() =>
      arrays.map((array, m) => {
        if (!array) return null;
        if (specs[m]!.kind === 'rgb') {
          return torch.tensor(array, { shape: [1, 3, height, width], device });
        }
        const one = torch.tensor(array, { shape: [1, 1, height, width], device });
        return one.expand([1, 3, height, width]);
      }),
    ),
  );
  return { inputs, size: [first.height, first.width] };
}
