/** The depth sensor and the ground truth. */

import { Random, Stream } from '../data/random.js';
import { albedo, noise } from './materials.js';
import type { View } from './raycast.js';
import type { Scene } from './scene.js';
import { forEachPoint } from './surface.js';

/** Where the second eye of the stereo pair sits, metres to the side: it casts shadows without depth. */
const BASELINE = 0.06;
/** Beyond this the sensor returns nothing, metres. */
const RANGE = 9;

/** The class of each pixel, exact at its middle. */
export function labelsOf(scene: Scene, view: View): Uint8Array {
  const out = new Uint8Array(view.seen.length);
  forEachPoint(scene, view, (i, point) => {
    out[i] = point.label;
  });
  return out;
}

/**
 * Depth in millimetres with what structured-light and stereo sensors do to it: noise that grows
 * with the distance squared (Nguyen, Izadi and Lovell 2012: 1.2 mm + 1.9 mm · (z − 0.4)²), no
 * value (0) beside near edges, on dark or shiny surfaces, at grazing angles and far away; and never
 * one through a window's panes.
 */
export function senseDepth(scene: Scene, view: View, seed: number, level: number): Uint16Array {
  const random = new Random(Stream.roomSensor, seed);
  const holes = level > 0 ? stereoShadow(scene, view) : new Uint8Array(view.seen.length);
  const out = new Uint16Array(view.seen.length);
  const base: [number, number, number] = [0, 0, 0];
  const blotch = random.uint32() | 0;
  forEachPoint(scene, view, (i, point, ray) => {
    const z = view.distance[i]!;
    const noiseZ = random.normal();
    const dice = random.uniform();
    if (level > 0) {
      const length = Math.hypot(ray[0], ray[1], ray[2]);
      const { normalX, normalY, normalZ } = point;
      const facing = Math.abs(normalX * ray[0] + normalY * ray[1] + normalZ * ray[2]) / length;
      albedo(point.material, point.u, point.v, base);
      const dark = Math.max(0, 0.08 - (base[0] + base[1] + base[2]) / 3) / 0.08;
      const lost =
        0.004 +
        0.9 * point.material.gloss +
        0.25 * dark * Math.min(1, z / 4) +
        0.6 * Math.max(0, 1 - facing / 0.16);
      // Losses come in blotches: one smooth noise, thresholded by how badly the surface reflects.
      const column = i % view.width;
      const row = Math.floor(i / view.width);
      const scale = 16 / view.width;
      const patch = noise(column * scale, row * scale, blotch) * 0.75 + dice * 0.25;
      const glass = point.material.gloss >= 1;
      if (glass || holes[i] || patch < lost * level * 0.8 || z > RANGE) return;
    }
    const sigma = 0.0012 + 0.0019 * (z - 0.4) ** 2;
    out[i] = Math.max(1, Math.min(65535, Math.round((z + noiseZ * sigma * level) * 1000)));
  });
  return out;
}

/** Points that the second eye, to the right, cannot see because something nearer is in the way. */
function stereoShadow(scene: Scene, view: View): Uint8Array {
  const out = new Uint8Array(view.seen.length);
  const reach = BASELINE * view.width * scene.camera.focal;
  for (let row = 0; row < view.height; row++) {
    let hidden = Infinity;
    for (let column = view.width - 1; column >= 0; column--) {
      const i = row * view.width + column;
      const landing = column - reach / view.distance[i]!;
      if (landing > hidden) out[i] = 1;
      else hidden = Math.min(hidden, landing);
    }
  }
  return out;
}
