import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { samplePlane } from './augment.js';
import { type Geometry, resizeGeometry } from './geometry.js';
import { type ImageSource, imageSource } from './image-source.js';
import { kindOf, type ModalitySpec } from './modality.js';
import type { Plane } from './plane.js';
import { modalitySpecShape } from './rules.js';
import { readScene, type SceneOptions } from './scene.js';

/** `resize` and `align` are done first, so that a prediction sees what the training saw. */
export interface InputOptions extends SceneOptions {
  /** [height, width] to predict at. Default: that of the images. */
  readonly size?: readonly [number, number];
  readonly device?: string;
}

/** The inputs of one prediction; the tensors belong to no scope. */
export interface LoadedInputs {
  /** M × [1, 3, H, W] float32 (depth's channels share their memory), or null where no file was given. */
  inputs: (Tensor | null)[];
  /** [height, width] of the first file, or of the one to align to: what predictions are resized to. */
  size: [number, number];
}

/**
 * Reads the images of one scene as an evaluation would, some of which may be missing (null).
 * @throws DataError as `readScene`
 */
export async function loadInputs(
  specs: readonly ModalitySpec[],
  files: readonly (ImageSource | null)[],
  options: InputOptions = {},
): Promise<LoadedInputs> {
  checkArguments(
    'loadInputs',
    { specs, files, options },
    {
      specs: is.listOf(modalitySpecShape),
      files: is.listOf(is.orNull(imageSource)),
      options: is.record,
    },
  );

  const { planes, reference, ...scene } = await readScene(specs, files, options);
  const [height, width] = options.size ?? [scene.height, scene.width];
  const geometry = resizeGeometry(width, height, options.nearest);
  const inputs = inputTensors(specs, planes, geometry, options.device);
  return { inputs, size: [reference.height, reference.width] };
}

/** The inputs of one prediction of planes that were read, null where one is missing. */
export function inputTensors(
  specs: readonly ModalitySpec[],
  planes: readonly (Plane | null)[],
  geometry: Geometry,
  device = 'cpu',
): (Tensor | null)[] {
  const { height, width } = geometry;
  const arrays = planes.map((plane) => plane && samplePlane(plane, geometry));
  return torch.detached(() =>
    torch.scope(() =>
      arrays.map((array, m) => {
        if (!array) return null;
        const { channels } = kindOf(specs[m]!);
        const made = torch.tensor(array, { shape: [1, channels, height, width], device });
        return made.expand([1, 3, height, width]);
      }),
    ),
  );
}
