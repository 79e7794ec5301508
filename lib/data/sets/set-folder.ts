import { randomBytes } from 'node:crypto';
import { constants, copyFile, link, mkdir, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import sharp from 'sharp';
import { M3lError } from '../../torch/errors.js';
import { DataError } from '../errors.js';
import { readChannels } from '../image.js';
import type { Picture } from '../picture.js';

/** What a link cannot do, a copy can: another file system, or one without links. */
const NO_LINKS = new Set(['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EACCES']);

/** The folder of a prepared set: a file in it is whole, or not there. */
export class SetFolder {
  private readonly unfinished: string;

  constructor(
    readonly path: string,
    private readonly copies = false,
  ) {
    this.unfinished = join(path, '.unfinished');
  }

  /** Puts a raw file in its place: linked where the file system can, else copied. */
  async place(path: string, source: string): Promise<void> {
    const from = await realpath(source).catch((error: Error) => {
      throw new DataError(
        'M3L_IMAGE_MISSING',
        `${source}: cannot be read (${error.message}), expected a file of the raw folder.`,
      );
    });
    const target = join(this.path, path);
    await mkdir(dirname(target), { recursive: true });
    if (!this.copies) {
      try {
        await link(from, target);
        return;
      } catch (error) {
        const { code = '' } = error as NodeJS.ErrnoException;
        if (code === 'EEXIST') return;
        if (!NO_LINKS.has(code)) throw notWritten(target, error);
      }
    }
    await this.whole(target, (temporary) => copyFile(from, temporary, constants.COPYFILE_FICLONE));
  }

  /**
   * Writes a picture of 1 or 3 channels of 8 bits, or of one of 16, as PNG, and reads it back.
   * @throws DataError M3L_DATA_SET_WRITE where what is read back is not what was written
   */
  async write(path: string, picture: Picture): Promise<void> {
    const { width, height, channels, data } = picture;
    if (!(data instanceof Uint8Array || data instanceof Uint16Array)) {
      throw new TypeError('expected values of 8 or 16 bits');
    }
    const target = join(this.path, path);
    const grey = data instanceof Uint16Array ? 'grey16' : 'b-w';
    await this.whole(target, async (temporary) => {
      await sharp(data, { raw: { width, height, channels: channels as 1 | 3 } })
        .toColourspace(channels === 3 ? 'srgb' : grey)
        .png()
        .toFile(temporary);
      const read = await readChannels(temporary);
      const sized = read.width === width && read.height === height;
      if (sized && bytesOf(read.data).equals(bytesOf(data))) return;
      throw new DataError(
        'M3L_DATA_SET_WRITE',
        `${target}: found other values in it than were written. Is the disk sound?`,
      );
    });
  }

  /** Removes what was being written when an earlier call ended. */
  async removeUnfinished(): Promise<void> {
    await rm(this.unfinished, { recursive: true, force: true });
  }

  private async whole(target: string, write: (temporary: string) => Promise<void>): Promise<void> {
    // The name keeps its end, which tells sharp the format.
    const name = `${randomBytes(6).toString('hex')}.${basename(target)}`;
    const temporary = join(this.unfinished, name);
    try {
      await mkdir(this.unfinished, { recursive: true });
      await mkdir(dirname(target), { recursive: true });
      await write(temporary);
      await rename(temporary, target);
    } catch (error) {
      throw notWritten(target, error);
    } finally {
      await rm(temporary, { force: true });
    }
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}

function notWritten(target: string, error: unknown): M3lError {
  if (error instanceof M3lError) return error;
  return new M3lError(
    'M3L_WRITE_FAILED',
    `${target} was not written: ${(error as Error).message}. What was made before stays; give room, ` +
      'and prepare again.',
    { cause: error },
  );
}
