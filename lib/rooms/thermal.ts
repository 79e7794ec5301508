/** The thermal camera. */

import { Stanford } from '../data/classes.js';
import { Random, Stream } from '../data/random.js';
import { type Material, noise } from './materials.js';
import type { View } from './raycast.js';
import type { Furniture, Scene } from './scene.js';
import { forEachPoint } from './surface.js';

/** What things of a class differ from the room's air by, °C: evenly from least to greatest. */
const USUAL: ReadonlyMap<number, readonly [number, number]> = new Map([
  // Concrete is slow: it keeps the cool of the night.
  [Stanford.beam, [-2.6, -1]],
  [Stanford.column, [-2.6, -1]],
  [Stanford.wall, [-1, -0.2]],
  [Stanford.floor, [-1.6, -0.4]],
  [Stanford.ceiling, [0.2, 1.2]],
  [Stanford.board, [-0.4, 0.4]],
  [Stanford.bookcase, [-0.5, 0.5]],
  [Stanford.table, [-0.5, 0.5]],
  [Stanford.chair, [-0.2, 0.6]],
  [Stanford.sofa, [0, 0.8]],
  [Stanford.door, [-0.8, 0.8]],
  [Stanford.clutter, [-0.5, 0.5]],
]);
/** Somebody has just stood up, or it is switched on: how often, and by how much warmer that is, °C. */
const WARMED: ReadonlyMap<number, readonly [share: number, least: number, most: number]> = new Map([
  [Stanford.chair, [0.6, 1, 4]],
  [Stanford.sofa, [0.6, 1, 4]],
  [Stanford.clutter, [0.5, 3, 12]],
]);
/** What a lamp is warmer by, °C. */
const LAMP = 18;
/** Noise of a detector, and of the columns that are read out together, °C. */
const GRAIN = 0.12;
const COLUMNS = 0.06;
/** The least span that is stretched over the picture's greys, °C: an even scene stays even. */
const LEAST_SPAN = 5;

/**
 * Heat as cameras give it: a byte a pixel, brighter where warmer, the gain set by the coldest and the
 * warmest 2 % of the picture. Each thing has the temperature of its kind and its own, however it is
 * painted; what is lower is colder; windows are on their way to the weather outside.
 */
export function senseHeat(scene: Scene, view: View, seed: number): Uint8Array {
  const random = new Random(Stream.roomThermal, seed);
  const weather = random.uniform(-22, 12);
  const temperature = (label: number) => {
    if (label === Stanford.window) return weather * random.uniform(0.35, 0.6);
    const [least, most] = USUAL.get(label)!;
    const own = random.uniform(least, most);
    const [share, low, high] = WARMED.get(label) ?? [0, 0, 0];
    return random.chance(share) ? own + random.uniform(low, high) : own;
  };
  const flat = new Map<Material, number>();
  for (const surface of scene.surfaces) {
    flat.set(surface.material, temperature(surface.label));
    for (const { material, label } of surface.decals) {
      // What is on the ceiling are lamps.
      flat.set(material, temperature(label) + (label === Stanford.ceiling ? LAMP : 0));
    }
  }
  const solid = scene.furniture.flatMap(({ primitives }: Furniture) => {
    const own = temperature(primitives[0]!.label);
    return primitives.map(() => own);
  });
  const columns = Array.from({ length: view.width }, () => COLUMNS * random.normal());
  const patches = random.uint32() | 0;

  const heat = new Float32Array(view.seen.length);
  forEachPoint(scene, view, (i, { u, v, material }, _ray, [, , z]) => {
    const seen = view.seen[i]!;
    const own = seen >= 0 ? solid[seen]! : flat.get(material)!;
    const patch = noise(u * 2.5, v * 2.5, patches + seen) - 0.5;
    heat[i] = own + 0.5 * z + 0.6 * patch + columns[i % view.width]! + GRAIN * random.normal();
  });
  return stretch(heat);
}

function stretch(heat: Float32Array): Uint8Array {
  const sorted = heat.toSorted();
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  const [coldest, warmest] = [at(0.02), at(0.98)];
  const middle = (coldest + warmest) / 2;
  const gain = 220 / Math.max(LEAST_SPAN, warmest - coldest);
  return Uint8Array.from(heat, (one) =>
    Math.max(0, Math.min(255, Math.round(127.5 + gain * (one - middle)))),
  );
}
