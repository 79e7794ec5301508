import { modalityPicture } from '../../evaluation/index.js';
import * as torch from '../../torch/index.js';
import type { Pixels, SceneRequest } from './images.js';
import type { SceneNetwork } from './scene-network.js';

/** The one image that there is, as its kind is drawn. */
export async function imagePicture(
  network: SceneNetwork,
  images: SceneRequest['images'],
): Promise<Pixels> {
  const at = images.findIndex((image) => image !== null);
  const { inputs } = await network.load(images);
  try {
    const { pixels, width, height } = modalityPicture(inputs[at]!, network.specs[at]!);
    return { data: pixels, width, height, channels: 3 };
  } finally {
    torch.dispose(inputs);
  }
}
