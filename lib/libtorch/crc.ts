import * as zlib from 'node:zlib';

/** The CRC-32 of a zip's entries, chunk by chunk. */
export function startCrc(): { update(chunk: Uint8Array): void; value(): number } {
  let crc = 0;
  return {
    update(chunk) {
      crc = step(chunk, crc);
    },
    value: () => crc,
  };
}

// Node has it from 20.15 on.
const step: (chunk: Uint8Array, crc: number) => number =
  typeof zlib.crc32 === 'function' ? zlib.crc32 : crc32;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** As zlib's, for the Nodes that do not give it away. */
export function crc32(chunk: Uint8Array, crc: number): number {
  let value = ~crc;
  for (const byte of chunk) value = table[(value ^ byte) & 0xff]! ^ (value >>> 8);
  return ~value >>> 0;
}
