/** Keeps furniture from standing in one another, in the walls or on the camera. */

import type { Random } from '../data/random.js';
import type { Footprint, Place } from './furniture.js';
import type { Camera } from './scene.js';

/** A rectangle of floor that is taken. */
export interface Claim {
  readonly x: number;
  readonly y: number;
  readonly halfX: number;
  readonly halfY: number;
  readonly cos: number;
  readonly sin: number;
}

/** A place found free, with the claim now on it. */
export interface Spot extends Place {
  readonly claim: Claim;
}

const TRIES = 24;
/** Nothing stands closer to the camera than this, metres: it would fill the picture. */
const CLEARANCE = 0.85;

export class FloorPlan {
  private readonly claims: Claim[] = [];

  constructor(
    private readonly random: Random,
    private readonly width: number,
    private readonly depth: number,
    private readonly camera: Camera,
  ) {}

  /** A free place with the piece's back `gap` metres from a wall, or null after many tries. */
  atWall(size: Footprint, gap: number): Spot | null {
    const { random } = this;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const side = random.integer(4);
      const along = side < 2 ? this.depth : this.width;
      const u = random.uniform(size.across / 2, Math.max(size.across / 2, along - size.across / 2));
      const off = gap + size.deep / 2;
      const place = [
        { x: off, y: u, turn: -Math.PI / 2 },
        { x: this.width - off, y: u, turn: Math.PI / 2 },
        { x: u, y: off, turn: 0 },
        { x: u, y: this.depth - off, turn: Math.PI },
      ][side]!;
      const claim = this.claim(place, size);
      if (claim) return { ...place, claim };
    }
    return null;
  }

  /** A free place within the room; `square` keeps it parallel to the walls. */
  anywhere(size: Footprint, square = false): Spot | null {
    const { random } = this;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const turn = square ? 0 : random.uniform(0, 2 * Math.PI);
      const x = random.uniform(0.3, this.width - 0.3);
      const place = { x, y: random.uniform(0.3, this.depth - 0.3), turn };
      const claim = this.claim(place, size);
      if (claim) return { ...place, claim };
    }
    return null;
  }

  /**
   * Claims the place if it is free, else returns null. `host`: an earlier claim that may be
   * overlapped, as a chair may stand half under its table.
   */
  claim(place: Place, size: Footprint, host?: Claim): Claim | null {
    const margin = 0.04;
    const wanted: Claim = {
      x: place.x,
      y: place.y,
      halfX: size.across / 2,
      halfY: size.deep / 2,
      cos: Math.cos(place.turn),
      sin: Math.sin(place.turn),
    };
    const reachX = Math.abs(wanted.cos) * wanted.halfX + Math.abs(wanted.sin) * wanted.halfY;
    const reachY = Math.abs(wanted.sin) * wanted.halfX + Math.abs(wanted.cos) * wanted.halfY;
    const slack = 1e-6;
    if (wanted.x - reachX < -slack || wanted.x + reachX > this.width + slack) return null;
    if (wanted.y - reachY < -slack || wanted.y + reachY > this.depth + slack) return null;
    const away = Math.hypot(wanted.x - this.camera.x, wanted.y - this.camera.y);
    if (away < CLEARANCE + Math.min(wanted.halfX, wanted.halfY)) return null;
    for (const other of this.claims) {
      if (other !== host && overlap(wanted, other, margin)) return null;
    }
    this.claims.push(wanted);
    return wanted;
  }
}

/** Separating axes of two turned rectangles. */
function overlap(a: Claim, b: Claim, margin: number): boolean {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  for (const axis of [a, b]) {
    for (const [ux, uy] of [
      [axis.cos, axis.sin],
      [-axis.sin, axis.cos],
    ] as const) {
      const distance = Math.abs(dx * ux + dy * uy);
      if (distance > reach(a, ux, uy) + reach(b, ux, uy) + margin) return false;
    }
  }
  return true;
}

function reach(c: Claim, ux: number, uy: number): number {
  return Math.abs(c.cos * ux + c.sin * uy) * c.halfX + Math.abs(c.cos * uy - c.sin * ux) * c.halfY;
}
