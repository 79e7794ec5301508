import { join } from 'node:path';
import sharp from 'sharp';
import { type RoomOptions, renderRoom } from './render-room.js';

/** One room to render and write; can be sent to a worker. */
export interface RoomTask {
  readonly folder: string;
  readonly name: string;
  readonly seed: number;
  readonly options: RoomOptions;
  readonly labelled: boolean;
}

/**
 * Writes `rgb/NAME.png`, `depth/NAME.png` (16-bit millimetres), those of further sensors and, if
 * labelled, `label/NAME.png`.
 */
export async function writeRoom({
  folder,
  name,
  seed,
  options,
  labelled,
}: RoomTask): Promise<null> {
  const { width, height, rgb, depth, label, normals, thermal } = renderRoom(seed, options);
  const file = (part: string) => join(folder, part, `${name}.png`);
  await sharp(rgb, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(file('rgb'));
  await sharp(depth, { raw: { width, height, channels: 1 } })
    .toColourspace('grey16')
    .png()
    .toFile(file('depth'));
  if (normals !== undefined) {
    await sharp(normals, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(file('normals'));
  }
  const grey = (data: Uint8Array, part: string) =>
    sharp(data, { raw: { width, height, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toFile(file(part));
  if (thermal !== undefined) await grey(thermal, 'thermal');
  if (labelled) await grey(label, 'label');
  return null;
}
