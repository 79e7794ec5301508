/** TensorBoard's event files: TFRecord frames, each with one Event of event.proto. */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { PbfReader, PbfWriter } from 'pbf';
import { appendWhole } from '../../torch/atomic-write.js';

/** What an event tells. */
export type EventContent =
  | { fileVersion: string }
  | { sessionStart: true }
  | { scalars: readonly (readonly [tag: string, value: number])[] }
  | { tag: string; image: { width: number; height: number; png: Uint8Array } }
  | { tag: string; text: string };

/** An event after `step` iterations; `time` in seconds since 1970. */
export type Event = EventContent & { step: number; time: number };

/** TensorProto's DT_STRING, SessionLog's START. */
const STRING = 7;
const START = 1;
/** Image.colorspace by its channels. */
const RGB = 3;

const LENGTH_BYTES = 8;
const CRC_BYTES = 4;

/** CRC-32C (Castagnoli), of which frames hold a masked form. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** The CRC as it stands in a frame. */
export function maskedCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!;
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** An event in its frame: length, its CRC, bytes, their CRC, all little-endian. */
export function frameOf(event: Event): Buffer {
  const bytes = eventBytes(event);
  const frame = Buffer.alloc(LENGTH_BYTES + CRC_BYTES + bytes.length + CRC_BYTES);
  frame.writeBigUInt64LE(BigInt(bytes.length));
  frame.writeUInt32LE(maskedCrc(frame.subarray(0, LENGTH_BYTES)), LENGTH_BYTES);
  frame.set(bytes, LENGTH_BYTES + CRC_BYTES);
  frame.writeUInt32LE(maskedCrc(bytes), frame.length - CRC_BYTES);
  return frame;
}

function eventBytes(event: Event): Uint8Array {
  const pbf = new PbfWriter();
  pbf.writeDoubleField(1, event.time);
  pbf.writeVarintField(2, event.step);
  if ('fileVersion' in event) pbf.writeStringField(3, event.fileVersion);
  else if ('sessionStart' in event) {
    pbf.writeMessage(7, (start, log) => log.writeVarintField(1, start), START);
  } else pbf.writeMessage(5, writeSummary, event);
  return pbf.finish();
}

function writeSummary(event: EventContent, pbf: PbfWriter): void {
  if ('scalars' in event) {
    for (const scalar of event.scalars) {
      pbf.writeMessage(
        1,
        ([tag, value], summary) => {
          summary.writeStringField(1, tag);
          summary.writeFloatField(2, value);
        },
        scalar,
      );
    }
  } else if ('tag' in event) pbf.writeMessage(1, writeValue, event);
}

function writeValue(event: Extract<EventContent, { tag: string }>, pbf: PbfWriter): void {
  pbf.writeStringField(1, event.tag);
  if ('image' in event) {
    pbf.writeMessage(
      4,
      ({ height, width, png }, image) => {
        image.writeVarintField(1, height);
        image.writeVarintField(2, width);
        image.writeVarintField(3, RGB);
        image.writeBytesField(4, png);
      },
      event.image,
    );
    return;
  }
  pbf.writeMessage(8, writeTensor, event.text);
  // SummaryMetadata.plugin_data.plugin_name
  pbf.writeMessage(
    9,
    (name, metadata) =>
      metadata.writeMessage(1, (text, plugin) => plugin.writeStringField(1, text), name),
    'text',
  );
}

/** A TensorProto of shape [1]. */
function writeTensor(text: string, pbf: PbfWriter): void {
  pbf.writeVarintField(1, STRING);
  pbf.writeMessage(
    2,
    (size, shape) => shape.writeMessage(2, (one, side) => side.writeVarintField(1, one), size),
    1,
  );
  pbf.writeBytesField(8, Buffer.from(text));
}

/** Appends events, each whole in one write, so that readers see it at once. */
export class EventFile {
  readonly #file: number;

  /** @param path of a file that is not there yet */
  constructor(path: string) {
    this.#file = openSync(path, 'wx');
  }

  write(event: Event): void {
    appendWhole(this.#file, frameOf(event));
  }

  /** Brings what was written to the disk. */
  flush(): void {
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Cuts a file off before the first event of a later step, or before what a kill left half-written. */
export function truncateEvents(path: string, lastStep: number): void {
  const file = openSync(path, 'r+');
  try {
    const { size } = fstatSync(file);
    let at = 0;
    for (;;) {
      const bytes = readFrame(file, at, size);
      if (bytes === null || stepOf(bytes) > lastStep) break;
      at += bytes.length + LENGTH_BYTES + 2 * CRC_BYTES;
    }
    if (at < size) ftruncateSync(file, at);
  } finally {
    closeSync(file);
  }
}

/** The event of the frame that begins at `at`; null where none whole does. */
function readFrame(file: number, at: number, size: number): Buffer | null {
  const head = readBytes(file, at, LENGTH_BYTES + CRC_BYTES);
  if (head === null) return null;
  const length = Number(head.readBigUInt64LE());
  const whole = at + head.length + length + CRC_BYTES <= size;
  if (!whole || head.readUInt32LE(LENGTH_BYTES) !== maskedCrc(head.subarray(0, LENGTH_BYTES))) {
    return null;
  }
  const bytes = readBytes(file, at + head.length, length + CRC_BYTES);
  const event = bytes?.subarray(0, length);
  return event && bytes!.readUInt32LE(length) === maskedCrc(event) ? event : null;
}

function readBytes(file: number, at: number, length: number): Buffer | null {
  const bytes = Buffer.alloc(length);
  return readSync(file, bytes, 0, length, at) === length ? bytes : null;
}

function stepOf(bytes: Uint8Array): number {
  return new PbfReader(bytes).readFields(
    (tag, event: { step: number }, pbf) => {
      if (tag === 2) event.step = pbf.readVarint(true);
    },
    { step: 0 },
  ).step;
}
