import { exifOrientation } from './exif.js';
import type { ImageFile, ImageReader, StoredHeader } from './reader.js';
import { decodeWithSharp } from './sharp.js';

/** JPEG: grey or RGB of 8 bits; CMYK becomes RGB by the file's colour profile, or the usual one. */
export const jpegReader: ImageReader<JpegHeader> = {
  name: 'JPEG',
  summary: 'grey and colour of 8 bits, CMYK by its profile; not for labels',
  recognises: (start) => start.length > 2 && start.readUIntBE(0, 3) === 0xffd8ff,
  async header(file) {
    let orientation = 1;
    for await (const { marker, position, length } of segments(file)) {
      if (marker === APP1) {
        const body = await file.read(position, length);
        if (body.toString('latin1', 0, 6) === 'Exif\0\0') {
          orientation = exifOrientation(body.subarray(6));
        }
      }
      if (isFrame(marker)) {
        const frame = await file.read(position, 6);
        if (frame.length < 6) break;
        return frameHeader(frame, orientation);
      }
    }
    throw new Error('the file ends before the header of its picture');
  },
  decode: (bytes, header) => decodeWithSharp(bytes, header, { profile: header.cmyk }),
};

interface JpegHeader extends StoredHeader {
  readonly cmyk: boolean;
}

const APP1 = 0xe1;

/** Start of frame: all of C0 to CF but the tables of Huffman and arithmetic codes, and JPG. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** The segments before the pixels; positions are those of their bodies. */
async function* segments(
  file: ImageFile,
): AsyncGenerator<{ marker: number; position: number; length: number }> {
  for (let at = 2; ; ) {
    const head = await file.read(at, 4);
    if (head.length < 4 || head[0] !== 0xff) return;
    const marker = head[1]!;
    if (marker === 0xff) {
      // Bytes of FF may fill the space before a marker.
      at += 1;
      continue;
    }
    const length = head.readUInt16BE(2);
    if (length < 2) return;
    yield { marker, position: at + 4, length: length - 2 };
    at += 2 + length;
  }
}

function frameHeader(frame: Buffer, orientation: number): JpegHeader {
  const components = frame[5]!;
  return {
    format: 'JPEG',
    width: frame.readUInt16BE(3),
    height: frame.readUInt16BE(1),
    channels: components === 1 ? 1 : 3,
    depth: 'uint8',
    colour: components === 1 ? 'grey' : 'rgb',
    alpha: false,
    orientation,
    lossy: true,
    cmyk: components === 4,
  };
}
