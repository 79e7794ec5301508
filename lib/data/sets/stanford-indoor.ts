import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isFile } from '../../torch/stat.js';
import { IGNORE_LABEL, STANFORD_CLASSES } from '../classes.js';
import { DataError } from '../errors.js';
import { readRawLabels } from '../labels.js';
import type { Picture } from '../picture.js';
import type { DataSet, PlannedScene, SplitOfSet } from './plan.js';
import { namesIn, notRaw, whatIsIn } from './raw-folder.js';

/** The areas of the paper's splits (m3l.md section 7). */
const AREAS: Record<string, SplitOfSet> = {
  area_1: 'train',
  area_2: 'train',
  area_3: 'val',
  area_4: 'train',
  area_5a: 'test',
  area_5b: 'test',
  area_6: 'train',
};

const FILE = /^(camera_.*_domain)_+rgb\.png$/;

/**
 * Stanford 2D-3D-S. Its semantic images hold 24-bit numbers as colours: indices into a list of
 * instances, whose names begin with their class; what is missing is #0d0d0d, beyond the list.
 */
export const stanfordIndoor: DataSet = {
  title: 'Stanford 2D-3D-S',
  layout: [
    'assets/semantic_labels.json',
    'area_1/data/rgb/camera_…_domain_rgb.png (area_2, 3, 4, 5a, 5b, 6 likewise)',
    'area_1/data/depth/camera_…_domain_depth.png',
    'area_1/data/semantic/camera_…_domain_semantic.png',
  ],
  config: 'data/stanford-indoor',
  fractions: [1000, 500, 100],
  async plan(raw) {
    const areas = Object.keys(AREAS).filter(
      (area) => namesIn(join(raw, area, 'data/rgb')).length > 0,
    );
    const names = join(raw, 'assets/semantic_labels.json');
    if (areas.length === 0 || !isFile(names)) {
      throw notRaw(
        raw,
        areas.length === 0 ? whatIsIn(raw) : 'no assets/semantic_labels.json',
        this,
      );
    }
    const classes = classesOfInstances(names);
    const scenes: PlannedScene[] = [];
    let alone = 0;
    for (const area of areas) {
      const folder = join(raw, area, 'data');
      for (const file of namesIn(join(folder, 'rgb'))) {
        const name = FILE.exec(file)?.[1];
        if (name === undefined) continue;
        const raws = ['rgb', 'depth', 'semantic'].map((kind) =>
          join(folder, kind, file.replace(/rgb\.png$/, `${kind}.png`)),
        );
        if (!raws.every(isFile)) {
          alone++;
          continue;
        }
        const [rgb, depth, semantic] = raws as [string, string, string];
        const path = (kind: string) => `data/${area}/${kind}/${name}.png`;
        scenes.push({
          split: AREAS[area]!,
          files: [
            { path: path('image'), source: rgb },
            { path: path('depth'), source: depth },
            { path: path('label'), source: () => classesOf(semantic, classes) },
          ],
        });
      }
    }
    const absent = Object.keys(AREAS).filter((area) => !areas.includes(area));
    return {
      scenes,
      notes: [
        ...(absent.length > 0 ? [`${absent.join(', ')}: not there, left out.`] : []),
        ...(alone > 0 ? [`${alone} images lack depth or labels and are left out.`] : []),
      ],
    };
  },
};

/** The class of each instance, in the order of the list; void for those of no known class. */
function classesOfInstances(file: string): Uint8Array {
  const list: unknown = parse(file);
  if (!Array.isArray(list) || !list.every((entry) => typeof entry === 'string')) {
    throw unreadable(file, 'no list of names');
  }
  return Uint8Array.from(list as string[], (instance) => {
    const name = instance.split('_')[0]!;
    if (name === '<UNK>') return IGNORE_LABEL;
    const index = STANFORD_CLASSES.names.indexOf(name);
    if (index >= 0) return index;
    throw unreadable(file, `an instance '${instance}' of no known class`);
  });
}

function parse(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    throw unreadable(file, 'no JSON');
  }
}

function unreadable(file: string, found: string): DataError {
  return new DataError(
    'M3L_DATA_SET_RAW',
    `${file}: found ${found}, expected a list of instances such as 'chair_1_office_3_2'. ` +
      'Take the file of the data set.',
  );
}

async function classesOf(file: string, classes: Uint8Array): Promise<Picture> {
  const { width, height, data: indices } = await readRawLabels(file, { colours: true });
  const data = new Uint8Array(indices.length);
  for (let i = 0; i < data.length; i++) data[i] = classes[indices[i]!] ?? IGNORE_LABEL;
  return { width, height, channels: 1, data };
}
