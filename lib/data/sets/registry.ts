import { deliver } from './deliver.js';
import { mfnet } from './mfnet.js';
import { nyuv2 } from './nyuv2.js';
import type { DataSet } from './plan.js';
import { stanfordIndoor } from './stanford-indoor.js';
import { sunRgbd } from './sun-rgbd.js';

/** All data sets that can be prepared, by the names that the command line uses. */
export const DATA_SETS = {
  'stanford-indoor': stanfordIndoor,
  'sun-rgbd': sunRgbd,
  nyuv2,
  deliver,
  mfnet,
} as const satisfies Record<string, DataSet>;

export type DataSetName = keyof typeof DATA_SETS;

export const DATA_SET_NAMES = Object.keys(DATA_SETS) as [DataSetName, ...DataSetName[]];
