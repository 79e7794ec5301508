/**
 * The addon that does what is done to every pixel (binding/image). It needs no libtorch, and a worker
 * thread opens it in milliseconds. Loading waits for the first use.
 */

import type { NativeImage } from '../../types/image.js';
import { openAddon } from '../torch/addon.js';

export type { Window } from '../../types/image.js';

let opened: NativeImage | null = null;

/** @throws AddonNotFoundError */
export function native(): NativeImage {
  opened ??= openAddon<NativeImage>('m3l_image').addon;
  return opened;
}
