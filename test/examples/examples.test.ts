import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const folder = fileURLToPath(new URL('../../examples/', import.meta.url));

/** What each example prints, roughly. */
const EXPECTED: Record<string, RegExp> = {
  'tensors.mjs': /^y = (1\.9|2\.0)\d x \+ (0\.9|1\.0)\d$/m,
  'indexing.mjs': /^\[ 4 \] \d+\n0 \d+$/m,
  'inference.mjs': /off by less than 1e-4: true/,
  'missing-modality.mjs': /^rgb missing: logits \[1,13,64,64\]$/m,
  'convnet.mjs': /^accuracy [1-9]\d\.\d %$/m,
  'ddpm.mjs': /^drawn points lie 0\.[0-2]\d+ from the moons/m,
  'gpt.mjs': /^step 50: loss [01]\.\d+$/m,
  'lstm.mjs': /^twenty steps ahead it is off by 0\.\d+ on average$/m,
  'resnet.mjs': /^accuracy (9\d|100)\.\d %$/m,
  'worker.mjs': /^\[2048,512\], off by less than 1e-5: true, timers ran: true$/m,
  'train-rooms.mjs': /^depth missing: mIoU \d/m,
};

describe('examples', () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.mjs'))) {
    it(`${file} runs`, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [folder + file], {
        env: { ...process.env, OMP_NUM_THREADS: '1', STEPS: '60' },
      });
      expect(stdout).toMatch(EXPECTED[file] ?? /./);
    });
  }
});
