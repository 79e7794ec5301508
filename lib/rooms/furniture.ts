/** Pieces of furniture, each built around its own origin with its front towards +y. Metres. */

import { Stanford } from '../data/classes.js';
import type { Random } from '../data/random.js';
import { Builder, type Furniture } from './scene.js';
import type { Wardrobe } from './wardrobe.js';

/** Where a piece stands: floor position and turn about the vertical axis. */
export interface Place {
  readonly x: number;
  readonly y: number;
  readonly turn: number;
}

/** Size on the floor: across (x) and front to back (y), in the piece's own frame. */
export interface Footprint {
  readonly across: number;
  readonly deep: number;
}

export function chair(random: Random, wardrobe: Wardrobe, place: Place): Furniture {
  const b = new Builder(place.x, place.y, place.turn);
  const label = Stanford.chair;
  const seat = random.uniform(0.42, 0.48);
  const side = random.uniform(0.4, 0.48);
  const back = seat + random.uniform(0.35, 0.55);
  const body = random.chance(0.5) ? wardrobe.fabric() : wardrobe.wood();
  const legs = random.chance(0.5) ? body : wardrobe.metal();
  b.box([0, 0], [side, side], [seat - 0.05, seat], body, label);
  b.box([0, -side / 2 + 0.02], [side, 0.04], [seat + 0.05, back], body, label);
  if (random.chance(0.3)) {
    // An office chair: one column on a round foot.
    b.cylinder([0, 0], 0.03, [0.06, seat - 0.05], legs, label);
    b.cylinder([0, 0], side / 2, [0.02, 0.06], legs, label);
  } else {
    const at = side / 2 - 0.03;
    for (const [x, y] of corners(at, at))
      b.box([x, y], [0.04, 0.04], [0, seat - 0.05], legs, label);
    for (const x of [-at, at]) b.box([x, -at], [0.04, 0.04], [seat, back], legs, label);
  }
  if (random.chance(0.3)) {
    for (const x of [-side / 2, side / 2]) {
      b.box([x, 0], [0.05, side * 0.8], [seat + 0.18, seat + 0.22], body, label);
      b.box([x, side * 0.3], [0.05, 0.05], [seat - 0.05, seat + 0.18], body, label);
    }
  }
  return b.build();
}

export interface TableSize extends Footprint {
  readonly height: number;
}

export function table(
  random: Random,
  wardrobe: Wardrobe,
  place: Place,
  size: TableSize,
): Furniture {
  const b = new Builder(place.x, place.y, place.turn);
  const label = Stanford.table;
  const { across, deep, height } = size;
  const top = random.chance(0.7) ? wardrobe.wood() : wardrobe.lacquer();
  const legs = random.chance(0.6) ? top : wardrobe.metal();
  const span: [number, number] = [height - 0.04, height];
  if (Math.abs(across - deep) < 0.05) {
    b.cylinder([0, 0], across / 2, span, top, label);
    b.cylinder([0, 0], 0.05, [0, height - 0.04], legs, label);
    b.cylinder([0, 0], across * 0.28, [0, 0.03], legs, label);
    return b.build();
  }
  b.box([0, 0], [across, deep], span, top, label);
  for (const [x, y] of corners(across / 2 - 0.05, deep / 2 - 0.05)) {
    b.box([x, y], [0.05, 0.05], [0, height - 0.04], legs, label);
  }
  if (random.chance(0.3)) {
    b.box([across / 2 - 0.24, 0], [0.4, deep * 0.9], [0.1, height - 0.06], top, label);
  }
  return b.build();
}

export function sofa(
  random: Random,
  wardrobe: Wardrobe,
  place: Place,
  { across, deep }: Footprint,
): Furniture {
  const b = new Builder(place.x, place.y, place.turn);
  const label = Stanford.sofa;
  const cover = wardrobe.fabric();
  const cushion = random.chance(0.3) ? wardrobe.fabric() : cover;
  const seat = random.uniform(0.36, 0.46);
  const back = seat + random.uniform(0.3, 0.45);
  const arm = random.uniform(0.12, 0.22);
  b.box([0, 0], [across, deep], [0.05, seat - 0.12], cover, label);
  b.box([0, -deep / 2 + 0.12], [across, 0.24], [0.05, back], cover, label);
  const inner = across - 2 * arm;
  const seats = Math.max(1, Math.round(inner / 0.65));
  for (let k = 0; k < seats; k++) {
    const x = -inner / 2 + (inner / seats) * (k + 0.5);
    b.box([x, 0.1], [inner / seats - 0.02, deep - 0.24], [seat - 0.12, seat], cushion, label);
  }
  for (const x of [-1, 1]) {
    b.box([(x * (across - arm)) / 2, 0], [arm, deep], [0.05, seat + 0.18], cover, label);
  }
  return b.build();
}

export function bookcase(
  random: Random,
  wardrobe: Wardrobe,
  place: Place,
  { across, deep }: Footprint,
): Furniture {
  const b = new Builder(place.x, place.y, place.turn);
  const label = Stanford.bookcase;
  const carcass = random.chance(0.75) ? wardrobe.wood() : wardrobe.lacquer();
  const height = random.uniform(1.1, 2.15);
  const board = 0.03;
  b.box([0, -deep / 2 + 0.01], [across, 0.02], [0, height], carcass, label);
  for (const side of [-1, 1]) {
    b.box([(side * (across - board)) / 2, 0], [board, deep], [0, height], carcass, label);
  }
  const shelves = Math.max(2, Math.round(height / random.uniform(0.32, 0.42)));
  const inner = across - 2 * board;
  for (let k = 0; k <= shelves; k++) {
    const z = 0.05 + ((height - 0.05 - board) / shelves) * k;
    b.box([0, 0], [inner, deep], [z, z + board], carcass, label);
    if (k === shelves) break;
    const room = (height - 0.05 - board) / shelves - board;
    for (let x = -inner / 2 + 0.01; x < inner / 2 - 0.1; ) {
      const run = Math.min(inner / 2 - x - 0.01, random.uniform(0.15, 0.7));
      if (random.chance(0.8)) {
        const tall = room * random.uniform(0.65, 0.93);
        const size: [number, number] = [run, deep * random.uniform(0.6, 0.85)];
        const bottom = z + board;
        b.box([x + run / 2, -0.02], size, [bottom, bottom + tall], wardrobe.books(), label);
      }
      x += run + random.uniform(0, 0.08);
    }
  }
  return b.build();
}

export function column(
  random: Random,
  wardrobe: Wardrobe,
  place: Place,
  { across, deep }: Footprint,
  roomHeight: number,
): Furniture {
  const b = new Builder(place.x, place.y, place.turn);
  const surface = wardrobe.plastered();
  if (random.chance(0.35)) {
    b.cylinder([0, 0], Math.min(across, deep) / 2, [0, roomHeight], surface, Stanford.column);
  } else {
    b.box([0, 0], [across, deep], [0, roomHeight], surface, Stanford.column);
  }
  return b.build();
}

/** One small thing standing at a height: a box, a tin, a ball, a lamp, a monitor. */
export function clutter(
  random: Random,
  wardrobe: Wardrobe,
  place: Place,
  bottom: number,
  size: number,
): Furniture {
  const b = new Builder(place.x, place.y, place.turn);
  const label = Stanford.clutter;
  const made = wardrobe.odd();
  const tall = size * random.uniform(0.4, 1.5);
  switch (random.integer(5)) {
    case 0:
      b.cylinder([0, 0], size * 0.3, [bottom, bottom + tall], made, label);
      break;
    case 1:
      b.sphere([0, 0], size * 0.4, bottom, made, label);
      break;
    case 2: {
      const metal = wardrobe.metal();
      b.cylinder([0, 0], size * 0.3, [bottom, bottom + 0.02], metal, label);
      b.cylinder([0, 0], 0.015, [bottom + 0.02, bottom + size], metal, label);
      b.cylinder([0, 0], size * 0.35, [bottom + size, bottom + size * 1.45], made, label);
      break;
    }
    case 3: {
      const screen: [number, number] = [bottom + 0.08, bottom + 0.08 + size * 0.75];
      b.box([0, 0], [size * 0.5, size * 0.35], [bottom, bottom + 0.02], made, label);
      b.box([0, 0], [0.04, 0.04], [bottom + 0.02, screen[0]], made, label);
      b.box([0, 0], [size * 1.3, 0.04], screen, made, label);
      break;
    }
    default:
      b.box([0, 0], [size, size * random.uniform(0.5, 1)], [bottom, bottom + tall], made, label);
  }
  return b.build();
}

function corners(x: number, y: number): [number, number][] {
  return [
    [-x, -y],
    [x, -y],
    [-x, y],
    [x, y],
  ];
}
