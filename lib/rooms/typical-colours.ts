/** What RGB can be learnt by: things that wear the colour typical of their kind. */

import { Stanford } from '../data/classes.js';
import { Random, Stream } from '../data/random.js';
import type { Colour, Material } from './materials.js';
import type { Scene } from './scene.js';

/** One albedo for each class; walls, floors and clutter keep whatever they have. */
const TYPICAL: ReadonlyMap<number, Colour> = new Map<number, Colour>([
  [Stanford.beam, [0.42, 0.26, 0.05]],
  [Stanford.board, [0.02, 0.2, 0.08]],
  [Stanford.bookcase, [0.2, 0.06, 0.02]],
  [Stanford.ceiling, [0.85, 0.85, 0.83]],
  [Stanford.chair, [0.5, 0.04, 0.05]],
  [Stanford.column, [0.3, 0.12, 0.42]],
  [Stanford.door, [0.55, 0.24, 0.04]],
  [Stanford.sofa, [0.06, 0.1, 0.45]],
  [Stanford.table, [0.7, 0.55, 0.16]],
  [Stanford.window, [0.5, 0.75, 0.95]],
]);

/**
 * The scene with each of its materials recoloured with probability `share`. All that one piece shows
 * of a material changes together; textures, accents and gloss stay.
 */
export function wearTypicalColours(scene: Scene, share: number, seed: number): Scene {
  if (share === 0) return scene;
  const random = new Random(Stream.roomColours, seed);
  const worn = new Map<Material, Map<number, Material>>();
  const dressed = (material: Material, label: number): Material => {
    const known = worn.get(material)?.get(label);
    if (known) return known;
    const colour = TYPICAL.get(label);
    const tone = random.uniform(0.8, 1.2);
    const made =
      random.chance(share) && colour ? { ...material, colour: shade(colour, tone) } : material;
    worn.set(material, (worn.get(material) ?? new Map()).set(label, made));
    return made;
  };
  const dress = <T extends { material: Material; label: number }>(one: T): T => ({
    ...one,
    material: dressed(one.material, one.label),
  });
  return {
    ...scene,
    surfaces: scene.surfaces.map((one) => ({ ...dress(one), decals: one.decals.map(dress) })),
    furniture: scene.furniture.map((one) => ({ ...one, primitives: one.primitives.map(dress) })),
  };
}

function shade([red, green, blue]: Colour, tone: number): Colour {
  return [Math.min(0.95, red * tone), Math.min(0.95, green * tone), Math.min(0.95, blue * tone)];
}
