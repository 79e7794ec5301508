import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { m3l, type Outcome } from './m3l.js';

// A tiny training whose batches two processes can share, and what it comes to in one.

const CONFIG = `
data:
  root: rooms
  classes: 13
  lists: { labelled: train_labelled.txt, unlabelled: train_unlabelled.txt, val: val.txt }
  crop: 32
  evaluationSize: [36, 48]
model: { backbone: mit-b0, dropout: 0, dropPath: 0 }
framework: m3l
optimiser: { encoderLr: 1e-5, decoderLr: 3e-5 }
iterations: 6
batch: { labelled: 2, unlabelled: 4 }
evaluate: { every: 3, batch: 2, samples: 1 }
checkpoint: { every: 1 }
threads: 1
workers: 0
seed: 3
`;

/** Makes its rooms and its configuration in a folder, and trains it there in one process, into `alone`. */
export async function trainAlone(folder: string): Promise<{ config: string; alone: Outcome }> {
  const rooms = await m3l([
    ...['rooms', join(folder, 'rooms'), '--labelled', '4', '--unlabelled', '4', '--val', '5'],
    ...['--size', '36x48', '--workers', '0'],
  ]);
  expect(rooms.code, rooms.stderr).toBe(0);
  const config = join(folder, 'tiny.yaml');
  writeFileSync(config, CONFIG);
  const alone = await m3l([
    ...['train', config, '--out', join(folder, 'alone'), '--json', '--no-check'],
  ]);
  expect(alone.code, alone.stderr).toBe(0);
  return { config, alone };
}

interface Step {
  kind: string;
  iteration: number;
  loss: number;
}

function stepsOf(run: string): Step[] {
  const text = readFileSync(join(run, 'metrics.jsonl'), 'utf8');
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Step);
  return lines.filter(({ kind }) => kind === 'train');
}

/** That a run in a folder took the steps of the one in `alone`, with its losses to 1e-4. */
export function expectAsAlone(folder: string, name: string): void {
  const [expected, found] = [stepsOf(join(folder, 'alone')), stepsOf(join(folder, name))];
  expect(found.map(({ iteration }) => iteration)).toEqual(expected.map((step) => step.iteration));
  for (const [i, { loss }] of found.entries()) {
    expect(Math.abs(loss - expected[i]!.loss), `loss ${i}`).toBeLessThan(1e-4 * expected[i]!.loss);
  }
}
