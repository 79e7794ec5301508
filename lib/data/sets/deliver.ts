import { join } from 'node:path';
import { isFile } from '../../torch/stat.js';
import { readChannels } from '../image.js';
import { type Picture, pickChannels } from '../picture.js';
import type { DataSet, PlannedScene, SplitOfSet } from './plan.js';
import { filesBelow, isFolder, notRaw, whatIsIn } from './raw-folder.js';

/** The folders of a scene's files, and what each calls them; depth is drawn as HHA, as in DELIVER. */
const FOLDERS = [
  ['img', 'rgb'],
  ['hha', 'depth'],
  ['lidar', 'lidar'],
  ['event', 'event'],
  ['semantic', 'semantic'],
] as const;

/** WEATHER/SPLIT/MAP/NUMBER_rgb_front.png: what is before `_rgb` names the scene. */
const FILE = /^([^/]+\/(train|val|test)\/[^/]+\/[^/]+)_rgb_front\.png$/;

/** DELIVER: RGB, depth, LiDAR and events of a driving simulator; 25 classes as 1 to 25, 0 for void. */
export const deliver: DataSet = {
  title: 'DELIVER',
  layout: [
    'img/cloud/train/MAP_…/000000_rgb_front.png (fog, night, rain, sun; val, test)',
    'hha/…/000000_depth_front.png',
    'lidar/…/000000_lidar_front.png',
    'event/…/000000_event_front.png',
    'semantic/…/000000_semantic_front.png',
  ],
  config: 'data/deliver',
  fractions: [16, 8, 4],
  // Events of the low-resolution cases are smaller.
  sizesDiffer: true,
  async plan(raw) {
    const absent = FOLDERS.filter(([folder]) => !isFolder(join(raw, folder)));
    if (absent.length === FOLDERS.length) throw notRaw(raw, whatIsIn(raw), this);
    if (absent.length > 0) {
      throw notRaw(raw, `no ${absent.map(([folder]) => folder).join(', no ')}`, this);
    }
    let alone = 0;
    const scenes = filesBelow(join(raw, 'img')).flatMap((file): PlannedScene[] => {
      const [, name, split] = FILE.exec(file) ?? [];
      if (name === undefined) return [];
      const paths = FOLDERS.map(([folder, word]) => `${folder}/${name}_${word}_front.png`);
      if (!paths.every((path) => isFile(join(raw, path)))) {
        alone++;
        return [];
      }
      const files = paths.map((path) => ({
        path,
        source: path.startsWith('semantic/') ? () => tags(join(raw, path)) : join(raw, path),
      }));
      return [{ split: split as SplitOfSet, name, files }];
    });
    if (scenes.length === 0) throw notRaw(raw, 'no scene with all five files', this);
    return {
      scenes,
      notes: alone > 0 ? [`${alone} images lack a partner and are left out.`] : [],
    };
  },
};

/** The simulator's tags stand in the first channel, however many there are. */
async function tags(file: string): Promise<Picture> {
  const picture = await readChannels(file);
  return picture.channels === 1 ? picture : pickChannels(picture, [0]);
}
