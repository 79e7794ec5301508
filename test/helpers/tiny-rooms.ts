import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { m3l } from '../cli/m3l.js';

/** Runs as script where somebody writes it into a page as it is. */
export const HOSTILE = '"><script>pwned=1<';
const CLASSES = [
  '<img src=x onerror=pwned=1>',
  ...Array.from({ length: 12 }, (_, k) => `class ${k}`),
];

/** Rooms in a folder, one of them of a hostile name, and a configuration of a tiny training on them. */
export async function tinyRooms(folder: string): Promise<string> {
  const rooms = join(folder, 'rooms');
  const { code, stderr } = await m3l([
    ...['rooms', rooms, '--labelled', '2', '--unlabelled', '3', '--val', '3'],
    ...['--size', '36x48', '--workers', '0'],
  ]);
  expect(code, stderr).toBe(0);
  const list = join(rooms, 'val.txt');
  const [first = '', ...others] = readFileSync(list, 'utf8').split('\n');
  const [picture = '', ...rest] = first.split('\t');
  const hostile = `rgb/${HOSTILE}.png`;
  renameSync(join(rooms, picture), join(rooms, hostile));
  writeFileSync(list, [[hostile, ...rest].join('\t'), ...others].join('\n'));
  const config = join(folder, 'tiny.yaml');
  writeFileSync(
    config,
    `
data:
  root: rooms
  classes: ${JSON.stringify(CLASSES)}
  lists: { labelled: train_labelled.txt, unlabelled: train_unlabelled.txt, val: val.txt }
  crop: 32
  evaluationSize: [36, 48]
model: { backbone: mit-b0 }
framework: m3l
iterations: 8
batch: { labelled: 1, unlabelled: 1 }
evaluate: { every: 4, batch: 2, samples: 0, calibration: true }
checkpoint: { every: 4 }
threads: 1
workers: 1
seed: 3
`,
  );
  return config;
}
