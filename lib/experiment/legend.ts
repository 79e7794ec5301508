import { dirname, resolve } from 'node:path';
import { Picture, textWidth } from '../evaluation/index.js';
import { makeFolder, writeFileAtomic } from '../torch/atomic-write.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { classNames, paletteOf } from './classes.js';
import { runFolderShape } from './rules.js';
import type { RunFolder } from './run-folder.js';

const [BOX, GAP] = [12, 6];

/** Draws the classes of a run with their colours, one a line: PNG. */
export async function writeLegend(run: RunFolder, path: string): Promise<void> {
  checkArguments('writeLegend', { run, path }, { run: runFolderShape, path: is.text });

  const config = run.config();
  const names = classNames(config).map((name, index) => `${index} ${name}`.replace(/[^ -~]/g, '-'));
  const colours = paletteOf(config);
  const width = 3 * GAP + BOX + Math.max(...names.map(textWidth));
  const picture = new Picture(width, GAP + names.length * (BOX + GAP));
  for (const [k, name] of names.entries()) {
    const top = GAP + k * (BOX + GAP);
    picture.fill(GAP, top, BOX, BOX, colours[k]!);
    picture.write(name, 2 * GAP + BOX, top + 2);
  }
  makeFolder(dirname(resolve(path)));
  writeFileAtomic(path, await picture.png());
}
