#!/usr/bin/env node
// How many scenes a second one thread of `m3l check` looks at (its quick part): 480 × 640, 8-bit RGB,
// 16-bit depth, 8-bit label, all PNG. `node bench/check.mjs [--scenes 400] [--runs 5]`
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { checkConfig, checkData } from '../dist/experiment/index.js';

const WIDTH = 640;
const HEIGHT = 480;
const { values } = parseArgs({
  options: {
    scenes: { type: 'string', default: '400' },
    runs: { type: 'string', default: '5' },
  },
});
const count = Number(values.scenes);
const folder = mkdtempSync(join(tmpdir(), 'm3l-check-bench-'));
try {
  for (const name of ['rgb', 'depth', 'label']) mkdirSync(join(folder, name));
  const lines = [];
  for (let k = 0; k < count; k++) {
    const rgb = new Uint8Array(WIDTH * HEIGHT * 3);
    const depth = new Uint16Array(WIDTH * HEIGHT);
    const label = new Uint8Array(WIDTH * HEIGHT);
    for (let i = 0; i < depth.length; i++) {
      const [x, y] = [i % WIDTH, Math.floor(i / WIDTH)];
      depth[i] = 1000 + x + 7 * y + ((i * 7919 + k) % 61);
      label[i] = (Math.floor((x + 3 * k) / 80) + Math.floor(y / 60)) % 13;
      for (let c = 0; c < 3; c++) rgb[3 * i + c] = ((x >> c) + y + ((i * 31 + k) % 17)) & 255;
    }
    const raw = (channels) => ({ raw: { width: WIDTH, height: HEIGHT, channels } });
    const file = (name) => join(folder, name, `${k}.png`);
    await sharp(rgb, raw(3)).png({ compressionLevel: 2 }).toFile(file('rgb'));
    await sharp(depth, raw(1))
      .toColourspace('grey16')
      .png({ compressionLevel: 2 })
      .toFile(file('depth'));
    await sharp(label, raw(1)).toColourspace('b-w').png().toFile(file('label'));
    lines.push(['rgb', 'depth', 'label'].map((name) => `${name}/${k}.png`).join('\t'));
  }
  writeFileSync(join(folder, 'list.txt'), lines.join('\n'));
  writeFileSync(join(folder, 'val.txt'), lines[0]);
  const config = checkConfig({
    data: { root: folder, lists: { labelled: 'list.txt', val: 'val.txt' }, classes: 13 },
    framework: 'supervised',
  });
  const speeds = { wall: [], processor: [] };
  for (let run = 0; run < Number(values.runs); run++) {
    const before = process.cpuUsage();
    const { seconds } = await checkData({ config, workers: 1 });
    const { user, system } = process.cpuUsage(before);
    speeds.wall.push((count + 1) / seconds);
    speeds.processor.push((count + 1) / ((user + system) / 1e6));
  }
  for (const [name, each] of Object.entries(speeds)) {
    each.sort((a, b) => a - b);
    const [least, middle, most] = [each[0], each[Math.floor(each.length / 2)], each.at(-1)];
    console.log(
      `${name} time: ${middle.toFixed(0)} scenes a second (median of ${each.length}; ` +
        `${least.toFixed(0)} to ${most.toFixed(0)})`,
    );
  }
  console.log(`one thread, ${count} scenes of ${HEIGHT} × ${WIDTH}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
