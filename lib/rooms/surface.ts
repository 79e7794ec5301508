/** What lies at a seen point: its normal, texture coordinates, material and class. */

import type { Material } from './materials.js';
import { rayThrough, type View } from './raycast.js';
import { Face, type Primitive, type Scene, Shape } from './scene.js';

/** Filled by `surfaceAt`; one instance is reused for all pixels. */
export class SurfacePoint {
  normalX = 0;
  normalY = 0;
  normalZ = 0;
  u = 0;
  v = 0;
  material!: Material;
  label = 0;
}

/**
 * Visits what each pixel of the view sees, row by row. The point, its `ray` (of unit depth, in world
 * axes) and its place are reused: whoever keeps one copies it.
 */
export function forEachPoint(
  scene: Scene,
  view: View,
  visit: (
    i: number,
    point: SurfacePoint,
    ray: readonly [number, number, number],
    place: readonly [number, number, number],
  ) => void,
): void {
  const { camera } = scene;
  const ray: [number, number, number] = [0, 0, 0];
  const place: [number, number, number] = [0, 0, 0];
  const point = new SurfacePoint();
  for (let row = 0, i = 0; row < view.height; row++) {
    for (let column = 0; column < view.width; column++, i++) {
      rayThrough(camera, view.width, view.height, column, row, ray);
      const t = view.distance[i]!;
      place[0] = camera.x + ray[0] * t;
      place[1] = camera.y + ray[1] * t;
      place[2] = camera.z + ray[2] * t;
      surfaceAt(scene, view.primitives, view.seen[i]!, place[0], place[1], place[2], point);
      visit(i, point, ray, place);
    }
  }
}

/** Looks up the surface at (x, y, z) on what `seen` names (as in `View.seen`). */
function surfaceAt(
  scene: Scene,
  primitives: readonly Primitive[],
  seen: number,
  x: number,
  y: number,
  z: number,
  out: SurfacePoint,
): void {
  if (seen >= 0) solidPoint(primitives[seen]!, x, y, z, out);
  else facePoint(scene, -1 - seen, x, y, z, out);
}

function facePoint(
  scene: Scene,
  face: number,
  x: number,
  y: number,
  z: number,
  out: SurfacePoint,
): void {
  const surface = scene.surfaces[face]!;
  out.normalX = face === Face.west ? 1 : face === Face.east ? -1 : 0;
  out.normalY = face === Face.south ? 1 : face === Face.north ? -1 : 0;
  out.normalZ = face === Face.floor ? 1 : face === Face.ceiling ? -1 : 0;
  // Walls: u runs along the wall, v is the height. Floor and ceiling: u is x, v is y.
  out.u = face === Face.west || face === Face.east ? y : x;
  out.v = face <= Face.north ? z : y;
  out.material = surface.material;
  out.label = surface.label;
  for (let k = surface.decals.length - 1; k >= 0; k--) {
    const decal = surface.decals[k]!;
    if (out.u >= decal.u0 && out.u < decal.u1 && out.v >= decal.v0 && out.v < decal.v1) {
      out.material = decal.material;
      out.label = decal.label;
      out.u -= decal.u0;
      out.v -= decal.v0;
      return;
    }
  }
}

function solidPoint(p: Primitive, x: number, y: number, z: number, out: SurfacePoint): void {
  const rx = x - p.x;
  const ry = y - p.y;
  const lx = rx * p.cos + ry * p.sin;
  const ly = ry * p.cos - rx * p.sin;
  const lz = z - p.z;
  out.material = p.material;
  out.label = p.label;
  let nx = 0;
  let ny = 0;
  let nz = 0;
  if (p.shape === Shape.box) {
    const ex = Math.abs(lx) - p.halfX;
    const ey = Math.abs(ly) - p.halfY;
    const ez = Math.abs(lz) - p.halfZ;
    if (ez >= ex && ez >= ey) {
      nz = Math.sign(lz);
      out.u = lx + p.halfX;
      out.v = ly + p.halfY;
    } else {
      if (ex >= ey) nx = Math.sign(lx);
      else ny = Math.sign(ly);
      out.u = nx !== 0 ? ly + p.halfY : lx + p.halfX;
      out.v = lz + p.halfZ;
    }
  } else if (p.shape === Shape.cylinder) {
    if (Math.abs(Math.abs(lz) - p.halfZ) < 1e-4) {
      nz = Math.sign(lz);
      out.u = lx;
      out.v = ly;
    } else {
      nx = lx / p.halfX;
      ny = ly / p.halfX;
      out.u = Math.atan2(ly, lx) * p.halfX;
      out.v = lz + p.halfZ;
    }
  } else {
    nx = lx / p.halfX;
    ny = ly / p.halfX;
    nz = lz / p.halfX;
    out.u = Math.atan2(ly, lx) * p.halfX;
    out.v = Math.asin(Math.max(-1, Math.min(1, nz))) * p.halfX;
  }
  out.normalX = nx * p.cos - ny * p.sin;
  out.normalY = nx * p.sin + ny * p.cos;
  out.normalZ = nz;
}
