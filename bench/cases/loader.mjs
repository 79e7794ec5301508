import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import {
  DataLoader,
  disposeBatch,
  ListDataset,
  readColour,
  readGrey,
  readLabels,
} from '../../dist/data/index.js';
import { renderRoom } from '../../dist/rooms/index.js';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';

const SIZE = 1080;
const CROP = 540;
const SCENES = 6;
const BATCH = 4;
const WORKERS = 2;
/** Batches taken off before the clock runs: more than either side makes ahead. */
const WARM = 6;
const BATCHES = 12;
/** What a step of 25 ms asks of 12 cores, and twice what the authors' loader gives. */
const DECODED_A_SECOND = 28;
const LIBRARIES = ['pil', 'opencv'];

const modalities = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
];

/** Rooms as files: filtered PNGs, as libpng writes them by default, and JPEG of quality 90. */
async function writeScenes(folder, format) {
  const files = [];
  for (let k = 0; k < SCENES; k++) {
    const { rgb, depth, label } = renderRoom(k + 1, { width: SIZE, height: SIZE, smoothing: 1 });
    const picture = (data, channels) =>
      sharp(data, { raw: { width: SIZE, height: SIZE, channels } });
    const png = (image) => image.png({ adaptiveFiltering: true });
    const at = (name) => join(folder, `${k}-${name}`);
    const scene = [at(`rgb.${format}`), at('depth.png'), at('label.png')];
    const colours = picture(rgb, 3);
    await (format === 'jpg' ? colours.jpeg({ quality: 90 }) : png(colours)).toFile(scene[0]);
    await png(picture(depth, 1).toColourspace('grey16')).toFile(scene[1]);
    await png(picture(label, 1).toColourspace('b-w')).toFile(scene[2]);
    files.push(scene);
  }
  return files;
}

async function withScenes(format, use) {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-bench-'));
  try {
    const files = await writeScenes(folder, format);
    return await withPeer('loader.py', (peer) => use(files, peer), { kit: 'images' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function openLoader(files, augmentOn) {
  const samples = files.map(([rgb, depth, label], k) => ({
    name: String(k),
    files: [rgb, depth],
    label,
  }));
  return new DataLoader(new ListDataset({ samples, modalities, numClasses: 13 }), {
    transform: { kind: 'training', crop: [CROP, CROP] },
    batchSize: BATCH,
    workers: WORKERS,
    augmentOn,
    // A data set of this kind is far larger than any memory.
    cacheBytes: 0,
  });
}

/** Ours beside both libraries; the peer is the faster one. */
async function against(runs, peer, command, options, ours) {
  const theirs = (library) => async () => (await peer.ask(command, { library, ...options })).ms;
  const sides = Object.fromEntries(LIBRARIES.map((library) => [library, theirs(library)]));
  const { ours: own, ...medians } = await alternate(runs, { ours, ...sides });
  return { ours: own, peer: Math.min(...Object.values(medians)), ...medians };
}

async function measureLoader(runs, format, augmentOn) {
  return withScenes(format, async (files, peer) => {
    for (const library of LIBRARIES) {
      await peer.ask('open', { library, files, crop: CROP, batch: BATCH, workers: WORKERS });
    }
    const loader = openLoader(files, augmentOn);
    let iteration = 0;
    const take = async (batches) => {
      for (const end = iteration + batches; iteration < end; iteration++) {
        disposeBatch(await loader.batch(iteration));
      }
    };
    try {
      return await against(runs, peer, 'load', { warm: WARM, batches: BATCHES }, async () => {
        await take(WARM);
        const start = performance.now();
        await take(BATCHES);
        return (performance.now() - start) / (BATCHES * BATCH);
      });
    } finally {
      await peer.ask('close');
      await loader.close();
    }
  });
}

async function measureDecoding(runs, format) {
  return withScenes(format, (files, peer) => {
    const decode = async () => {
      for (const [rgb, depth, label] of files) {
        await readColour(rgb);
        await readGrey(depth);
        await readLabels(label);
      }
    };
    // Either side reads all files twice; the second time counts, when caches and compilers are warm.
    const measure = async () => {
      await decode();
      const start = process.cpuUsage();
      await decode();
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1000 / files.length;
    };
    return against(runs, peer, 'decode', { files }, measure);
  });
}

const FORMATS = { jpeg: 'jpg', png: 'png' };

export default Object.entries(FORMATS).flatMap(([name, format]) => [
  {
    name: `loader-${name}`,
    title:
      `the loader, a sample of ${SIZE}² (RGB ${name.toUpperCase()}, 16-bit depth PNG, label PNG) ` +
      `decoded, augmented to ${CROP}² and batched by ${WORKERS} workers, against PyTorch's DataLoader ` +
      'with PIL or OpenCV, whichever is faster',
    unit: 'ms',
    runs: 7,
    target: { ratio: 1 / 1.5 },
    measure: ({ runs }) => measureLoader(runs, format, 'worker'),
  },
  {
    name: `decode-${name}`,
    title: `the same files decoded alone, CPU time of one core a sample (${DECODED_A_SECOND} a second: ${(1000 / DECODED_A_SECOND).toFixed(1)} ms)`,
    unit: 'ms',
    runs: 9,
    target: { ours: Number((1000 / DECODED_A_SECOND).toFixed(1)) },
    measure: ({ runs }) => measureDecoding(runs, format),
  },
]);
