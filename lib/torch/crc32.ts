import * as zlib from 'node:zlib';

/** The CRC-32 of bytes, or of them after those whose CRC is given. */
export const crc32: (bytes: Uint8Array, before?: number) => number =
  // Node 20.15 and 22.2 brought their own, which is ten times as fast.
  // Of an array without memory, as empty tensors have, zlib forgets the bytes before.
  typeof zlib.crc32 === 'function'
    ? (bytes, before = 0) => (bytes.length === 0 ? before : zlib.crc32(bytes, before))
    : tableCrc32;

export function tableCrc32(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]!) & 255]!;
  return ~crc >>> 0;
}

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});
