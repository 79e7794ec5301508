import { DataError } from '../errors.js';
import { nameOf } from '../image-source.js';
import type { Channel } from '../modality.js';
import { type Picture, pickChannels } from '../picture.js';
import type { ReadRequest } from './kind.js';

/**
 * One channel of an image, by its colour or its index.
 * @throws DataError as `readChannels`; M3L_IMAGE_FORMAT where the image has no such channel
 */
export async function readChannel(
  { file, name, channels }: ReadRequest,
  channel: Channel,
): Promise<Picture> {
  const picture = await channels(file);
  const index = indexOf(channel, picture.channels);
  if (index < picture.channels) return pickChannels(picture, [index]);
  const found = picture.channels === 1 ? '1 channel' : `${picture.channels} channels`;
  throw new DataError(
    'M3L_IMAGE_FORMAT',
    `${nameOf(file)}: found ${found}, expected one named '${channel}' for the modality '${name}'. ` +
      `Name a channel that the image has${picture.channels === 1 ? ', or none' : ''}.`,
  );
}

/** The index that a name stands for; beyond the channels where they have none of that name. */
function indexOf(channel: Channel, channels: number): number {
  if (typeof channel === 'number') return channel;
  if (channel === 'alpha') return channels === 2 ? 1 : 3;
  return channels < 3 ? channels : { red: 0, green: 1, blue: 2 }[channel];
}
