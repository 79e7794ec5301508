import { join } from 'node:path';
import { isFile } from '../../torch/stat.js';
import { readLines } from '../list-text.js';
import { type DataSet, type PlannedScene, SPLITS } from './plan.js';
import { notRaw, whatIsIn } from './raw-folder.js';

/** Mirrored copies that the authors' training lists name: training mirrors by itself. */
const MIRRORED = /_flip$/;

/**
 * MFNet, RGB and thermal of streets by day and night: one PNG of four channels a scene, of which the
 * configuration makes two modalities. 9 classes as 0 to 8, 0 is what has no name.
 */
export const mfnet: DataSet = {
  title: 'MFNet (RGB-thermal)',
  layout: [
    'images/00001D.png (red, green, blue, thermal)',
    'labels/00001D.png',
    'train.txt, val.txt, test.txt (a name a line)',
  ],
  config: 'data/mfnet',
  fractions: [16, 8, 4],
  async plan(raw) {
    const absent = ['train.txt', 'val.txt'].filter((name) => !isFile(join(raw, name)));
    if (absent.length > 0) throw notRaw(raw, whatIsIn(raw), this);
    const scenes: PlannedScene[] = [];
    const seen = new Set<string>();
    let [mirrored, alone] = [0, 0];
    for (const split of SPLITS) {
      const list = join(raw, `${split}.txt`);
      if (!isFile(list)) continue;
      for (const { content } of readLines(list)) {
        const name = content.trim();
        if (MIRRORED.test(name)) {
          mirrored++;
          continue;
        }
        const [image, label] = [`images/${name}.png`, `labels/${name}.png`];
        if (!isFile(join(raw, image)) || !isFile(join(raw, label))) {
          alone++;
          continue;
        }
        if (seen.has(name)) continue;
        seen.add(name);
        const four = { path: image, source: join(raw, image) };
        const classes = { path: label, source: join(raw, label) };
        scenes.push({ split, name, files: [four, classes] });
      }
    }
    if (scenes.length === 0) throw notRaw(raw, 'none of the images that its lists name', this);
    return {
      scenes,
      notes: [
        ...(mirrored > 0
          ? [`${mirrored} mirrored copies (…_flip) are left out: training mirrors by itself.`]
          : []),
        ...(alone > 0
          ? [`${alone} names of the lists lack an image or a label and are left out.`]
          : []),
      ],
    };
  },
};
