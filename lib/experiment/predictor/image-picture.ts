import { loadInputs } from '../../data/index.js';
import { modalityPicture } from '../../evaluation/index.js';
import * as torch from '../../torch/index.js';
import type { Config } from '../config/config.js';
import { specsOf } from '../networks.js';
import { loadingOf } from '../prediction-options.js';
import type { Pixels, SceneRequest } from './images.js';

/** The one image that there is, as its kind is drawn. */
export async function imagePicture(
  config: Config,
  images: SceneRequest['images'],
): Promise<Pixels> {
  const specs = specsOf(config);
  const at = images.findIndex((image) => image !== null);
  const { inputs } = await loadInputs(specs, images, loadingOf(config));
  try {
    const { pixels, width, height } = modalityPicture(inputs[at]!, specs[at]!);
    return { data: pixels, width, height, channels: 3 };
  } finally {
    torch.dispose(inputs);
  }
}
