/** The sensor of surface normals. */

import { Random, Stream } from '../data/random.js';
import type { View } from './raycast.js';
import type { Scene } from './scene.js';
import { forEachPoint } from './surface.js';

/**
 * The unit normal of what each pixel sees, in the camera's axes: x to the right, y up, z towards the
 * camera; bytes of (n + 1) / 2, 3 a pixel, row-major. As normals are estimated from depth, their noise
 * grows with the distance.
 * @param level multiplies the noise; 0 gives exact normals
 */
export function senseNormals(scene: Scene, view: View, seed: number, level: number): Uint8Array {
  const random = new Random(Stream.roomNormals, seed);
  const { right, down, forward } = scene.camera;
  const out = new Uint8Array(view.seen.length * 3);
  forEachPoint(scene, view, (i, { normalX, normalY, normalZ }) => {
    const sigma = level * (0.03 + 0.012 * view.distance[i]!);
    const along = (axis: readonly [number, number, number], sign: number) =>
      sign * (normalX * axis[0] + normalY * axis[1] + normalZ * axis[2]) + sigma * random.normal();
    const normal = [along(right, 1), along(down, -1), along(forward, -1)];
    const length = Math.hypot(...normal);
    for (let k = 0; k < 3; k++) out[i * 3 + k] = Math.round((normal[k]! / length + 1) * 127.5);
  });
  return out;
}
