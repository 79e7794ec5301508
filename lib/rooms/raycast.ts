/** Analytic ray casting: what each pixel sees first, and whether a point sees a lamp. */

import { type Camera, type Furniture, type Primitive, type Scene, Shape } from './scene.js';

/** What each pixel sees. Row-major, `width × height`. */
export interface View {
  readonly width: number;
  readonly height: number;
  /** Distance along the optical axis, metres. */
  readonly distance: Float32Array;
  /** Index into `primitives`, or −1 − face for a face of the room. */
  readonly seen: Int16Array;
  readonly primitives: readonly Primitive[];
}

const NEAR = 0.05;

/** The ray through the middle of pixel (column, row); its forward part is 1, so t is planar depth. */
export function rayThrough(
  camera: Camera,
  width: number,
  height: number,
  column: number,
  row: number,
  out: [number, number, number],
): void {
  const a = ((column + 0.5) / width - 0.5) / camera.focal;
  const b = (row + 0.5 - height / 2) / (width * camera.focal);
  for (let k = 0; k < 3; k++) {
    out[k] = camera.forward[k]! + camera.right[k]! * a + camera.down[k]! * b;
  }
}

/** Casts one ray a pixel. Each solid visits only the pixels of its projected bounding rectangle. */
export function castView(scene: Scene, width: number, height: number): View {
  const primitives = scene.furniture.flatMap((piece) => piece.primitives);
  const distance = new Float32Array(width * height);
  const seen = new Int16Array(width * height);
  const rays = new Float64Array(width * height * 3);
  const ray: [number, number, number] = [0, 0, 0];
  for (let row = 0, i = 0; row < height; row++) {
    for (let column = 0; column < width; column++, i++) {
      rayThrough(scene.camera, width, height, column, row, ray);
      rays[i * 3] = ray[0];
      rays[i * 3 + 1] = ray[1];
      rays[i * 3 + 2] = ray[2];
      castShell(scene, ray, distance, seen, i);
    }
  }
  for (let index = 0; index < primitives.length; index++) {
    const p = primitives[index]!;
    const [left, top, right, bottom] = screenBounds(scene.camera, p, width, height);
    for (let row = top; row <= bottom; row++) {
      for (let column = left, i = row * width + left; column <= right; column++, i++) {
        const t = intersect(
          p,
          scene.camera.x,
          scene.camera.y,
          scene.camera.z,
          rays[i * 3]!,
          rays[i * 3 + 1]!,
          rays[i * 3 + 2]!,
        );
        if (t > NEAR && t < distance[i]!) {
          distance[i] = t;
          seen[i] = index;
        }
      }
    }
  }
  return { width, height, distance, seen, primitives };
}

/** The room is convex and the camera is inside: the nearest of the three faces ahead is what is seen. */
function castShell(
  scene: Scene,
  ray: readonly [number, number, number],
  distance: Float32Array,
  seen: Int16Array,
  i: number,
): void {
  const { camera } = scene;
  const [dx, dy, dz] = ray;
  const tx = dx > 0 ? (scene.width - camera.x) / dx : -camera.x / dx;
  const ty = dy > 0 ? (scene.depth - camera.y) / dy : -camera.y / dy;
  const tz = dz > 0 ? (scene.height - camera.z) / dz : -camera.z / dz;
  if (tx <= ty && tx <= tz) {
    distance[i] = tx;
    seen[i] = dx > 0 ? -2 : -1;
  } else if (ty <= tz) {
    distance[i] = ty;
    seen[i] = dy > 0 ? -4 : -3;
  } else {
    distance[i] = tz;
    seen[i] = dz > 0 ? -6 : -5;
  }
}

/** Distance in units of the direction's length to the first point of the solid ahead; Infinity if none. */
export function intersect(
  p: Primitive,
  ox: number,
  oy: number,
  oz: number,
  dx: number,
  dy: number,
  dz: number,
): number {
  const rx = ox - p.x;
  const ry = oy - p.y;
  const z = oz - p.z;
  if (p.shape === Shape.box) {
    const x = rx * p.cos + ry * p.sin;
    const y = ry * p.cos - rx * p.sin;
    const ex = 1 / (dx * p.cos + dy * p.sin);
    const ey = 1 / (dy * p.cos - dx * p.sin);
    const ez = 1 / dz;
    // Slabs one by one, leaving as soon as one is missed.
    const ax = (-p.halfX - x) * ex;
    const bx = (p.halfX - x) * ex;
    let enter = ax < bx ? ax : bx;
    let leave = ax < bx ? bx : ax;
    const ay = (-p.halfY - y) * ey;
    const by = (p.halfY - y) * ey;
    const nearY = ay < by ? ay : by;
    const farY = ay < by ? by : ay;
    if (nearY > enter) enter = nearY;
    if (farY < leave) leave = farY;
    if (enter > leave) return Infinity;
    const az = (-p.halfZ - z) * ez;
    const bz = (p.halfZ - z) * ez;
    const nearZ = az < bz ? az : bz;
    const farZ = az < bz ? bz : az;
    if (nearZ > enter) enter = nearZ;
    if (farZ < leave) leave = farZ;
    return enter > 0 && enter <= leave ? enter : Infinity;
  }
  if (p.shape === Shape.cylinder) {
    const a = dx * dx + dy * dy;
    const b = rx * dx + ry * dy;
    const c = rx * rx + ry * ry - p.halfX * p.halfX;
    const root = b * b - a * c;
    if (root < 0) return Infinity;
    const spread = Math.sqrt(root);
    const az = (-p.halfZ - z) / dz;
    const bz = (p.halfZ - z) / dz;
    const enter = Math.max((-b - spread) / a, Math.min(az, bz));
    const leave = Math.min((-b + spread) / a, Math.max(az, bz));
    return enter > 0 && enter <= leave ? enter : Infinity;
  }
  const a = dx * dx + dy * dy + dz * dz;
  const b = rx * dx + ry * dy + z * dz;
  const c = rx * rx + ry * ry + z * z - p.halfX * p.halfX;
  const root = b * b - a * c;
  if (root < 0) return Infinity;
  const t = (-b - Math.sqrt(root)) / a;
  return t > 0 ? t : Infinity;
}

/** [left, top, right, bottom] in pixels, all inclusive; empty (right < left) where nothing is seen. */
function screenBounds(
  camera: Camera,
  p: Primitive,
  width: number,
  height: number,
): [number, number, number, number] {
  let left = Infinity;
  let right = -Infinity;
  let top = Infinity;
  let bottom = -Infinity;
  let behind = 0;
  const scale = width * camera.focal;
  for (let corner = 0; corner < 8; corner++) {
    const lx = corner & 1 ? p.halfX : -p.halfX;
    const ly = corner & 2 ? p.halfY : -p.halfY;
    const lz = corner & 4 ? p.halfZ : -p.halfZ;
    const x = p.x + lx * p.cos - ly * p.sin - camera.x;
    const y = p.y + lx * p.sin + ly * p.cos - camera.y;
    const z = p.z + lz - camera.z;
    const ahead = x * camera.forward[0] + y * camera.forward[1] + z * camera.forward[2];
    if (ahead < NEAR) {
      behind++;
      continue;
    }
    const across = (x * camera.right[0] + y * camera.right[1] + z * camera.right[2]) / ahead;
    const along = (x * camera.down[0] + y * camera.down[1] + z * camera.down[2]) / ahead;
    left = Math.min(left, across);
    right = Math.max(right, across);
    top = Math.min(top, along);
    bottom = Math.max(bottom, along);
  }
  if (behind === 8) return [0, 0, -1, -1];
  if (behind > 0) return [0, 0, width - 1, height - 1];
  return [
    Math.max(0, Math.floor(left * scale + width / 2 - 0.5)),
    Math.max(0, Math.floor(top * scale + height / 2 - 0.5)),
    Math.min(width - 1, Math.ceil(right * scale + width / 2 - 0.5)),
    Math.min(height - 1, Math.ceil(bottom * scale + height / 2 - 0.5)),
  ];
}

/** Whether furniture stands between a point and a lamp, both in the room. */
export function isShadowed(
  furniture: readonly Furniture[],
  x: number,
  y: number,
  z: number,
  lampX: number,
  lampY: number,
  lampZ: number,
): boolean {
  const dx = lampX - x;
  const dy = lampY - y;
  const dz = lampZ - z;
  const scale = 1 / (dx * dx + dy * dy + dz * dz);
  for (let k = 0; k < furniture.length; k++) {
    const piece = furniture[k]!;
    // The distance from the piece's bounding sphere to the nearest point of the way to the lamp.
    const cx = piece.x - x;
    const cy = piece.y - y;
    const cz = piece.z - z;
    const along = (cx * dx + cy * dy + cz * dz) * scale;
    const near = along < 0 ? 0 : along > 1 ? 1 : along;
    const mx = cx - near * dx;
    const my = cy - near * dy;
    const mz = cz - near * dz;
    if (mx * mx + my * my + mz * mz > piece.radius * piece.radius) continue;
    const { primitives } = piece;
    for (let i = 0; i < primitives.length; i++) {
      if (intersect(primitives[i]!, x, y, z, dx, dy, dz) < 1) return true;
    }
  }
  return false;
}
