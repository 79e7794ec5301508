import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyReply } from 'fastify';

const compress = promisify(gzip);

/** A class a pixel, 255 for void, as it is sent. */
export interface PackedClasses {
  height: number;
  width: number;
  /** gzip */
  bytes: Buffer;
}

/** Packed for the wire: the page colours it, and so can count, compare and point at classes. */
export async function packClasses(
  classes: Uint8Array,
  height: number,
  width: number,
): Promise<PackedClasses> {
  return { height, width, bytes: await compress(classes, { level: 2 }) };
}

export function sendClasses(reply: FastifyReply, packed: PackedClasses): FastifyReply {
  return reply
    .header('content-type', 'application/octet-stream')
    .header('content-encoding', 'gzip')
    .header('x-height', packed.height)
    .header('x-width', packed.width)
    .send(packed.bytes);
}
