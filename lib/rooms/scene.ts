/**
 * The geometry of a procedural room, in metres: x and y span the floor, z points up, and the
 * room is [0, width] × [0, depth] × [0, height]. Furniture is made of upright boxes (turned about
 * the vertical axis), upright cylinders and spheres; what is flat on a wall, on the floor or on
 * the ceiling (boards, doors, windows, posters, rugs, lamps) is a decal and has no depth of its own.
 */

import type { Material } from './materials.js';

export const Shape = { box: 0, cylinder: 1, sphere: 2 } as const;

/** An upright solid. `halfX`, `halfY`, `halfZ` are half sizes in its own turned frame. */
export interface Primitive {
  readonly shape: number;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly halfX: number;
  readonly halfY: number;
  readonly halfZ: number;
  readonly cos: number;
  readonly sin: number;
  readonly material: Material;
  readonly label: number;
}

/** The six inner faces of the room, in the order of `Scene.surfaces`. */
export const Face = { west: 0, east: 1, south: 2, north: 3, floor: 4, ceiling: 5 } as const;

/** A rectangle flat on a face; later decals lie over earlier ones. u and v as in `faceCoordinates`. */
export interface Decal {
  readonly u0: number;
  readonly u1: number;
  readonly v0: number;
  readonly v1: number;
  readonly material: Material;
  readonly label: number;
}

export interface Surface {
  readonly material: Material;
  readonly label: number;
  readonly decals: Decal[];
}

/** A group of primitives with the sphere that bounds them: shadow rays test the sphere first. */
export interface Furniture {
  readonly primitives: readonly Primitive[];
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly radius: number;
}

/** A lamp or a window, as a small square that emits; colour is linear light at one metre. */
export interface Light {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly spread: number;
  readonly colour: readonly [number, number, number];
}

export interface Camera {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** Unit vectors; `right` and `down` span the picture, `forward` is the optical axis. */
  readonly forward: readonly [number, number, number];
  readonly right: readonly [number, number, number];
  readonly down: readonly [number, number, number];
  /** Focal length as a fraction of the picture's width. */
  readonly focal: number;
}

export interface Scene {
  readonly width: number;
  readonly depth: number;
  readonly height: number;
  readonly surfaces: readonly Surface[];
  readonly furniture: readonly Furniture[];
  readonly lights: readonly Light[];
  readonly ambient: readonly [number, number, number];
  readonly camera: Camera;
}

/** A frame on the floor in which a piece of furniture is built: its place, turn and parts so far. */
export class Builder {
  readonly primitives: Primitive[] = [];
  private readonly cos: number;
  private readonly sin: number;

  constructor(
    private readonly originX: number,
    private readonly originY: number,
    turn: number,
  ) {
    this.cos = Math.cos(turn);
    this.sin = Math.sin(turn);
  }

  /** Adds a box: centre (x, y) and sizes in this frame, from height `bottom` to `top`. */
  box(
    at: readonly [number, number],
    size: readonly [number, number],
    [bottom, top]: readonly [number, number],
    material: Material,
    label: number,
  ): this {
    return this.add(Shape.box, at, [size[0] / 2, size[1] / 2], bottom, top, material, label);
  }

  cylinder(
    at: readonly [number, number],
    radius: number,
    [bottom, top]: readonly [number, number],
    material: Material,
    label: number,
  ): this {
    return this.add(Shape.cylinder, at, [radius, radius], bottom, top, material, label);
  }

  sphere(
    at: readonly [number, number],
    radius: number,
    bottom: number,
    material: Material,
    label: number,
  ): this {
    const half: [number, number] = [radius, radius];
    return this.add(Shape.sphere, at, half, bottom, bottom + 2 * radius, material, label);
  }

  private add(
    shape: number,
    [x, y]: readonly [number, number],
    [halfX, halfY]: readonly [number, number],
    bottom: number,
    top: number,
    material: Material,
    label: number,
  ): this {
    this.primitives.push({
      shape,
      x: this.originX + x * this.cos - y * this.sin,
      y: this.originY + x * this.sin + y * this.cos,
      z: (bottom + top) / 2,
      halfX,
      halfY,
      halfZ: (top - bottom) / 2,
      cos: this.cos,
      sin: this.sin,
      material,
      label,
    });
    return this;
  }

  /** The finished piece. */
  build(): Furniture {
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    for (const p of this.primitives) {
      const reach = Math.hypot(p.halfX, p.halfY);
      const centre = [p.x, p.y, p.z];
      const extent = [reach, reach, p.halfZ];
      for (let k = 0; k < 3; k++) {
        low[k] = Math.min(low[k]!, centre[k]! - extent[k]!);
        high[k] = Math.max(high[k]!, centre[k]! + extent[k]!);
      }
    }
    const [x, y, z] = low.map((l, k) => (l + high[k]!) / 2) as [number, number, number];
    const radius = Math.hypot(high[0]! - x, high[1]! - y, high[2]! - z);
    return { primitives: this.primitives, x, y, z, radius };
  }
}

/** A camera at a place, turned by `yaw` (0 looks along +x, positive to +y), pitched up and rolled; radians. */
export function createCamera(
  [x, y, z]: readonly [number, number, number],
  yaw: number,
  pitch: number,
  roll: number,
  fieldOfView: number,
): Camera {
  const cy = Math.cos(yaw);
  const sy = Math.sin(yaw);
  const cp = Math.cos(pitch);
  const sp = Math.sin(pitch);
  const cr = Math.cos(roll);
  const sr = Math.sin(roll);
  const right = [sy, -cy, 0];
  const down = [cy * sp, sy * sp, -cp];
  const turn = (a: number[], b: number[], s: number) =>
    a.map((value, k) => value * cr + s * sr * b[k]!) as [number, number, number];
  return {
    x,
    y,
    z,
    forward: [cy * cp, sy * cp, sp],
    right: turn(right, down, 1),
    down: turn(down, right, -1),
    focal: 0.5 / Math.tan(fieldOfView / 2),
  };
}
