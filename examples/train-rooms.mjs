// A whole experiment from a program: M3L on a few procedural rooms, then its robust mIoU.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkConfig, headline, RunFolder, train } from 'm3l/experiment';

const config = checkConfig({
  name: 'example',
  data: {
    rooms: { labelled: 2, unlabelled: 4, val: 2, size: [48, 64] },
    crop: 32,
    evaluationSize: [48, 64],
  },
  model: { backbone: 'mit-b0' },
  framework: 'm3l',
  iterations: 4,
  batch: { labelled: 1, unlabelled: 1 },
  workers: 0,
});

const folder = mkdtempSync(join(tmpdir(), 'm3l-example-'));
const summary = await train({ config, run: RunFolder.create(config, join(folder, 'run')) });
for (const { name, meanIoU } of headline(summary.evaluation).cases) {
  console.log(`${name}: mIoU ${(100 * meanIoU).toFixed(1)}`);
}
rmSync(folder, { recursive: true });
