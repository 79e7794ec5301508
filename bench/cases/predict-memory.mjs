import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { inChild } from '../child.mjs';
import { alternate } from '../statistics.mjs';

const SIDE = 2000;
const CLASSES = 40;

async function writeScene(folder) {
  const write = async (name, channels, colourspace) => {
    const values = Uint8Array.from({ length: SIDE * SIDE * channels }, (_, i) => (i * 7919) % 251);
    const path = join(folder, name);
    const image = sharp(values, { raw: { width: SIDE, height: SIDE, channels } });
    await image.toColourspace(colourspace).toFile(path);
    return path;
  };
  return [await write('rgb.png', 3, 'srgb'), await write('depth.png', 1, 'b-w')];
}

async function measure(runs) {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-predict-memory-'));
  try {
    const files = await writeScene(folder);
    const bytes = async (way) => {
      const found = await inChild('predict-memory.mjs', { way, classes: CLASSES, files });
      return (found.megabytes * 1e6) / SIDE ** 2;
    };
    return await alternate(runs, { ours: () => bytes('predict'), peer: () => bytes('plain') });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export default [
  {
    name: 'predict-memory',
    title: `prediction at ${SIDE}², K = ${CLASSES}, beyond the model: peak RSS; peer: by full-size logits`,
    unit: 'bytes/pixel',
    runs: 3,
    target: { ours: 60 },
    measure: ({ runs }) => measure(runs),
  },
];
