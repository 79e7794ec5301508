/** `m3l predict --stream`: frames in, frames out. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import type { PredictStreamOptions } from '../experiment/index.js';
import type { StreamWrites } from '../experiment/stream/writes.js';
import { listenForInterruption } from './interruption.js';
import { EXIT, printNote, printResult } from './output.js';

interface Options {
  stream: Record<string, string>;
  frames: Record<string, string>;
  write: StreamWrites;
  everyFrame: boolean;
  stall: number;
  out: string;
  checkpoint: 'best' | 'latest';
  device?: string;
  set: string[];
  json: boolean;
}

const WORDS = {
  silent: 'gives no frames any more',
  ended: 'has ended',
  constant: 'shows one value only',
  unreadable: 'gives frames that cannot be decoded',
} as const;

/** What stands in a note when a sensor is lost, or (null) is back. */
function noteOf(
  name: string,
  fault: keyof typeof WORDS | null,
  { frames, reason, left }: { frames: number; reason: string | null; left: boolean },
): string {
  if (fault === null) return `${name}: is back, with frame ${frames}`;
  const then = left ? 'predicting without it' : 'no sensor is left to predict from';
  const why = reason === null ? '' : `: ${reason}`;
  return `${name}: ${WORDS[fault]} (after ${frames} frames)${why}; ${then}`;
}

export async function predictFrames(folder: string, options: Options): Promise<void> {
  const { encodeFrame, openPredictor, predictStream, streamOutputs } = await import(
    '../experiment/index.js'
  );
  const { stream: sources, frames, everyFrame, stall, write, json, checkpoint, device } = options;
  const interruption = listenForInterruption({ note: null });
  const predictor = await openPredictor(folder, { checkpoint, device, sets: options.set });
  const out = options.out === '-' ? process.stdout : createWriteStream(options.out);
  const failed = once(out, 'error').then(([error]) => Promise.reject(error));
  failed.catch(() => {});
  /** A line of JSON, where the frames do not go. */
  const tell = (event: object) =>
    (out === process.stdout ? printNote : printResult)(JSON.stringify(event));
  const lost = new Set<string>();
  const onSensor: PredictStreamOptions['onSensor'] = (name, fault, count, reason) => {
    if (fault === null) lost.delete(name);
    else lost.add(name);
    const left = lost.size < Object.keys(sources).length;
    if (json) tell({ event: 'sensor', name, fault, frames: count, ...(reason && { reason }) });
    else printNote(noteOf(name, fault, { frames: count, reason, left }));
  };
  let [written, sensors] = [0, {} as Record<string, { frames: number; dropped: number }>];
  try {
    const found = predictStream(predictor, {
      ...{ sources, frames, everyFrame, outputs: streamOutputs(write), stallSeconds: stall },
      ...{ signal: interruption.signal, onSensor },
    });
    for await (const each of found) {
      await Promise.race([writeWhole(out, await encodeFrame(each, write)), failed]);
      written += 1;
      sensors = each.sensors;
    }
    if (out !== process.stdout) await new Promise<void>((done) => out.end(() => done()));
  } finally {
    interruption.stop();
    await predictor.close();
  }
  if (json) tell({ event: 'end', written, sensors });
  else printNote(summaryOf(written, sensors));
  if (interruption.signal.aborted) process.exitCode = EXIT.interrupted;
  else if (written === 0) process.exitCode = EXIT.failure;
}

async function writeWhole(out: Writable, frame: Buffer): Promise<void> {
  if (!out.write(frame)) await once(out, 'drain');
}

function summaryOf(
  written: number,
  sensors: Record<string, { frames: number; dropped: number }>,
): string {
  const parts = Object.entries(sensors).map(
    ([name, { frames, dropped }]) => `${name}: ${frames} frames came, ${dropped} were dropped`,
  );
  return [`${written} frames written`, ...parts].join('; ');
}
