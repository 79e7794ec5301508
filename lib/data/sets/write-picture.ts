import { randomBytes } from 'node:crypto';
import { constants, copyFile, link, mkdir, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import sharp from 'sharp';
import { M3lError } from '../../torch/errors.js';
import { DataError } from '../errors.js';
import { readChannels } from '../image.js';
import type { Picture } from '../picture.js';

/**
 * Writes a picture of 1 or 3 channels of 8 bits, or of one of 16, as PNG, and reads it back. The file
 * has its name only once it is whole.
 * @throws DataError M3L_DATA_SET_WRITE where what is read back is not what was written
 */
export async function writePicture(target: string, picture: Picture): Promise<void> {
  const { width, height, channels, data } = picture;
  if (!(data instanceof Uint8Array || data instanceof Uint16Array)) {
    throw new TypeError('expected values of 8 or 16 bits');
  }
  const wide = data instanceof Uint16Array;
  const space = channels === 3 ? 'srgb' : wide ? 'grey16' : 'b-w';
  await whole(target, async (temporary) => {
    await sharp(data, { raw: { width, height, channels: channels as 1 | 3 } })
      .toColourspace(space)
      .png({ compressionLevel: 6 })
      .toFile(temporary);
    const read = await readChannels(temporary);
    const same =
      read.width === width &&
      read.height === height &&
      read.data.length === data.length &&
      Buffer.from(data.buffer, data.byteOffset, data.byteLength).equals(
        Buffer.from(read.data.buffer, read.data.byteOffset, read.data.byteLength),
      );
    if (same) return;
    throw new DataError(
      'M3L_DATA_SET_WRITE',
      `${target}: found other values in it than were written. Is the disk sound?`,
    );
  });
}

/** What a link cannot do, a copy can: another file system, or one without links. */
const NO_LINKS = new Set(['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EACCES']);

/** Puts a raw file in its place: linked where the file system can, else, or with `copy`, copied. */
export async function place(target: string, source: string, copy: boolean): Promise<void> {
  const from = await realpath(source);
  await mkdir(dirname(target), { recursive: true });
  if (!copy) {
    try {
      await link(from, target);
      return;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return;
      if (!NO_LINKS.has(code)) throw error;
    }
  }
  await whole(target, (temporary) => copyFile(from, temporary, constants.COPYFILE_FICLONE));
}

async function whole(target: string, write: (temporary: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  // The name keeps its end, which tells sharp the format.
  const temporary = join(
    dirname(target),
    `.${process.pid}-${randomBytes(4).toString('hex')}.${basename(target)}`,
  );
  try {
    await write(temporary);
    await rename(temporary, target);
  } catch (error) {
    if (error instanceof M3lError) throw error;
    throw new M3lError(
      'M3L_WRITE_FAILED',
      `${target} was not written: ${(error as Error).message}. What was made before stays; ` +
        'give room, and prepare again.',
      { cause: error },
    );
  } finally {
    await rm(temporary, { force: true });
  }
}
