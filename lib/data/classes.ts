import type { Colour } from './colours.js';

/** Class names and colours of a data set. Labels are indices into `names`; 255 is void. */
export interface ClassTable {
  readonly names: readonly string[];
  /** One [red, green, blue] (0 to 255) for each name. */
  readonly colours: readonly Colour[];
}

/** The label value that takes no part in any loss or metric. */
export const IGNORE_LABEL = 255;

/** The 13 classes of Stanford 2D-3D-S in the order of its labels; the procedural rooms use them too. */
export const STANFORD_CLASSES: ClassTable = {
  names: [
    'beam',
    'board',
    'bookcase',
    'ceiling',
    'chair',
    'clutter',
    'column',
    'door',
    'floor',
    'sofa',
    'table',
    'wall',
    'window',
  ],
  colours: [
    [241, 180, 76],
    [38, 94, 88],
    [146, 84, 44],
    [222, 222, 214],
    [214, 62, 56],
    [120, 120, 128],
    [154, 104, 182],
    [232, 128, 44],
    [112, 160, 84],
    [226, 96, 156],
    [250, 220, 90],
    [164, 190, 212],
    [56, 128, 214],
  ],
};

/** Stanford label values by name, for code that builds scenes. */
export const Stanford = {
  beam: 0,
  board: 1,
  bookcase: 2,
  ceiling: 3,
  chair: 4,
  clutter: 5,
  column: 6,
  door: 7,
  floor: 8,
  sofa: 9,
  table: 10,
  wall: 11,
  window: 12,
} as const;

/** The two classes of the potholes data (stereo road scenes). */
export const POTHOLE_CLASSES: ClassTable = {
  names: ['road', 'pothole'],
  colours: [
    [128, 128, 128],
    [208, 60, 48],
  ],
};
