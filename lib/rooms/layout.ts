/** Which room a seed gives: its size, what hangs on the walls, what stands where, light and camera. */

import { Stanford } from '../data/classes.js';
import { Random, Stream } from '../data/random.js';
import { FloorPlan } from './floor-plan.js';
import * as make from './furniture.js';
import { type Material, material } from './materials.js';
import type { Decal, Light, Scene, Surface } from './scene.js';
import { Builder, type Camera, createCamera, Face, type Furniture } from './scene.js';
import { Wardrobe } from './wardrobe.js';

/** The room of a seed. `camouflage`: how often furniture wears another surface's material (0 to 1). */
export function createRoom(seed: number, camouflage: number): Scene {
  const random = new Random(Stream.roomLayout, seed);
  const width = random.uniform(3.2, 6.2);
  const depth = random.uniform(3.2, 6.2);
  const height = random.uniform(2.4, 3);
  const wardrobe = new Wardrobe(random, camouflage);
  const camera = placeCamera(random, width, depth);
  const plan = new FloorPlan(random, width, depth, camera);
  const surfaces = createSurfaces(wardrobe);
  const furniture = furnish(random, wardrobe, plan, height);
  furniture.push(...createBeams(random, wardrobe, width, depth, height));
  const windows = hangOnWalls(random, wardrobe, surfaces, width, depth, height);
  layOnFloorAndCeiling(random, wardrobe, surfaces, width, depth);
  const level = random.uniform(0.25, 0.6);
  const ambient = [level, level, level * 1.05] as const;
  const lights = [...createLamps(random, surfaces, width, depth, height), ...windows];
  return { width, depth, height, surfaces, furniture, lights, ambient, camera };
}

/** Near the edge of the room, looking across its middle. */
function placeCamera(random: Random, width: number, depth: number): Camera {
  const angle = random.uniform(0, 2 * Math.PI);
  const x = width * (0.5 + 0.4 * Math.cos(angle));
  const y = depth * (0.5 + 0.4 * Math.sin(angle));
  const targetX = width * random.uniform(0.3, 0.7);
  const targetY = depth * random.uniform(0.3, 0.7);
  return createCamera(
    [x, y, random.uniform(1.2, 1.75)],
    Math.atan2(targetY - y, targetX - x),
    random.uniform(-0.3, 0.06),
    0.03 * random.normal(),
    random.uniform(1.15, 1.45),
  );
}

function createSurfaces(wardrobe: Wardrobe): Surface[] {
  return Array.from({ length: 6 }, (_, face) => {
    if (face === Face.floor) {
      return { material: wardrobe.floor, label: Stanford.floor, decals: [] };
    }
    if (face === Face.ceiling) {
      return { material: wardrobe.ceiling, label: Stanford.ceiling, decals: [] };
    }
    const seed = wardrobe.seed();
    return { material: { ...wardrobe.wall, seed }, label: Stanford.wall, decals: [] };
  });
}

function furnish(
  random: Random,
  wardrobe: Wardrobe,
  plan: FloorPlan,
  roomHeight: number,
): Furniture[] {
  const out: Furniture[] = [];
  const some = (probability: number, most: number, put: () => void) => {
    for (let k = 0; k < most; k++) if (random.chance(probability)) put();
  };
  some(0.4, 2, () => {
    const across = random.uniform(0.25, 0.5);
    const size = { across, deep: across * random.uniform(0.7, 1) };
    const place = random.chance(0.75) ? plan.atWall(size, 0) : plan.anywhere(size, true);
    if (place) out.push(make.column(random, wardrobe, place, size, roomHeight));
  });
  some(0.5, 2, () => {
    const size = { across: random.uniform(0.7, 1.8), deep: random.uniform(0.26, 0.4) };
    const place = plan.atWall(size, 0.01);
    if (place) out.push(make.bookcase(random, wardrobe, place, size));
  });
  some(0.42, 2, () => {
    const size = { across: random.uniform(0.9, 2.1), deep: random.uniform(0.75, 0.95) };
    const place = random.chance(0.65) ? plan.atWall(size, 0.03) : plan.anywhere(size);
    if (place) out.push(make.sofa(random, wardrobe, place, size));
  });
  some(0.65, 2, () => out.push(...tableGroup(random, wardrobe, plan)));
  some(0.35, 2, () => {
    const place = plan.anywhere({ across: 0.5, deep: 0.5 });
    if (place) out.push(make.chair(random, wardrobe, place));
  });
  some(0.5, 4, () => {
    const size = random.uniform(0.15, 0.5);
    const place = plan.anywhere({ across: size, deep: size });
    if (place) out.push(make.clutter(random, wardrobe, place, 0, size));
  });
  return out;
}

/** A table with chairs around it and things on it, or a low one, or a desk at the wall. */
function tableGroup(random: Random, wardrobe: Wardrobe, plan: FloorPlan): Furniture[] {
  const low = random.chance(0.25);
  const round = random.chance(0.2);
  const across = random.uniform(0.7, low ? 1.2 : 1.8);
  const deep = round ? across : Math.min(across * 0.9, random.uniform(0.5, 0.9));
  const size = {
    across,
    deep,
    height: low ? random.uniform(0.35, 0.5) : random.uniform(0.7, 0.78),
  };
  const atWall = !round && random.chance(0.35);
  const place = atWall ? plan.atWall(size, 0.02) : plan.anywhere(size);
  if (!place) return [];
  const out = [make.table(random, wardrobe, place, size)];
  const cos = Math.cos(place.turn);
  const sin = Math.sin(place.turn);
  const locate = (x: number, y: number, turn: number) => ({
    x: place.x + x * cos - y * sin,
    y: place.y + x * sin + y * cos,
    turn: place.turn + turn,
  });
  const sides = atWall ? [1] : [1, -1];
  for (const side of low ? [] : sides) {
    const seats = across > 1.2 ? 2 : 1;
    for (let k = 0; k < seats; k++) {
      if (random.chance(0.3)) continue;
      const x = seats === 1 ? random.uniform(-0.1, 0.1) : (k - 0.5) * across * 0.5;
      const y = side * (deep / 2 + random.uniform(-0.05, 0.25));
      // A chair's front is +y, so one beyond the table's +y side must turn around to face it.
      const turn = (side > 0 ? Math.PI : 0) + 0.25 * random.normal();
      const spot = locate(x, y, turn);
      if (plan.claim(spot, { across: 0.4, deep: 0.4 }, place.claim)) {
        out.push(make.chair(random, wardrobe, spot));
      }
    }
  }
  const things = random.integer(5);
  for (let k = 0; k < things; k++) {
    const x = (random.uniform() - 0.5) * (across - 0.3);
    const y = (random.uniform() - 0.5) * (deep - 0.25);
    const spot = locate(x, y, random.uniform(-0.6, 0.6));
    out.push(make.clutter(random, wardrobe, spot, size.height, random.uniform(0.12, 0.4)));
  }
  return out;
}

function createBeams(
  random: Random,
  wardrobe: Wardrobe,
  width: number,
  depth: number,
  height: number,
): Furniture[] {
  if (!random.chance(0.62)) return [];
  const alongX = random.chance(0.5);
  const span = alongX ? depth : width;
  const surface = random.chance(0.5) ? wardrobe.plastered() : wardrobe.wood();
  const thick = random.uniform(0.18, 0.4);
  const drop = random.uniform(0.18, 0.42);
  const count = 1 + random.integer(3);
  return Array.from({ length: count }, (_, k) => {
    const at = ((k + random.uniform(0.35, 0.65)) / count) * span;
    const size: [number, number] = alongX ? [width, thick] : [thick, depth];
    const centre: [number, number] = alongX ? [width / 2, at] : [at, depth / 2];
    return new Builder(0, 0, 0)
      .box(centre, size, [height - drop, height], surface, Stanford.beam)
      .build();
  });
}

/** Doors, windows, boards and pictures, flat on the walls. Returns the daylight of the windows. */
function hangOnWalls(
  random: Random,
  wardrobe: Wardrobe,
  surfaces: readonly Surface[],
  width: number,
  depth: number,
  height: number,
): Light[] {
  const daylight: Light[] = [];
  for (let face = Face.west; face <= Face.north; face++) {
    const { decals } = surfaces[face]!;
    const length = face <= Face.east ? depth : width;
    const hang = (
      size: readonly [number, number],
      bottom: number,
      label: number,
      paint: (extent: readonly [number, number]) => Material,
    ) => {
      const u0 = random.uniform(0.15, Math.max(0.15, length - 0.15 - size[0]));
      const overlaps = decals.some((d) => u0 < d.u1 + 0.08 && u0 + size[0] + 0.08 > d.u0);
      if (overlaps || u0 + size[0] > length - 0.1) return;
      const made = paint(size);
      const decal: Decal = {
        u0,
        u1: u0 + size[0],
        v0: bottom,
        v1: bottom + size[1],
        material: made,
        label,
      };
      decals.push(decal);
      if (label === Stanford.window && made.glow > 0.5) {
        daylight.push(windowLight(face, decal, width, depth));
      }
    };
    if (random.chance(0.55))
      hang([random.uniform(0.8, 1), random.uniform(1.95, 2.15)], 0, Stanford.door, (e) =>
        wardrobe.door(e),
      );
    for (let k = 0; k < 2; k++) {
      if (!random.chance(0.42)) continue;
      const sill = random.uniform(0.6, 1.05);
      const tall = Math.min(height - 0.25, random.uniform(1.9, 2.3)) - sill;
      hang([random.uniform(0.7, 1.9), tall], sill, Stanford.window, (e) => wardrobe.window(e));
    }
    for (let k = 0; k < 2; k++) {
      if (!random.chance(0.45)) continue;
      const tall = random.uniform(0.7, 1.2);
      hang([random.uniform(0.9, 2.2), tall], random.uniform(0.8, 1.1), Stanford.board, (e) =>
        wardrobe.board(e),
      );
    }
    if (random.chance(0.3)) {
      hang(
        [random.uniform(0.35, 0.8), random.uniform(0.35, 0.8)],
        random.uniform(1.2, 1.5),
        Stanford.clutter,
        (e) => wardrobe.poster(e),
      );
    }
  }
  return daylight;
}

function windowLight(face: number, decal: Decal, width: number, depth: number): Light {
  const u = (decal.u0 + decal.u1) / 2;
  const inside = 0.12;
  const x = face === Face.west ? inside : face === Face.east ? width - inside : u;
  const y = face === Face.south ? inside : face === Face.north ? depth - inside : u;
  const [r, g, b] = decal.material.colour;
  return { x, y, z: (decal.v0 + decal.v1) / 2, spread: 0.2, colour: [r * 2.2, g * 2.2, b * 2.2] };
}

function layOnFloorAndCeiling(
  random: Random,
  wardrobe: Wardrobe,
  surfaces: readonly Surface[],
  width: number,
  depth: number,
): void {
  if (random.chance(0.35)) {
    const u0 = width * random.uniform(0.15, 0.4);
    const v0 = depth * random.uniform(0.15, 0.4);
    surfaces[Face.floor]!.decals.push({
      u0,
      u1: u0 + random.uniform(1, 2.2),
      v0,
      v1: v0 + random.uniform(1, 2.2),
      material: wardrobe.rug(),
      label: Stanford.floor,
    });
  }
}

function createLamps(
  random: Random,
  surfaces: readonly Surface[],
  width: number,
  depth: number,
  height: number,
): Light[] {
  const warmth = random.uniform(-0.12, 0.2);
  const strength = random.uniform(2.2, 4.5);
  const count = 1 + random.integer(2);
  const panel = material('plain', [0.9, 0.9, 0.88], { glow: 2.2 });
  return Array.from({ length: count }, (_, k) => {
    const x = width * (count === 1 ? random.uniform(0.35, 0.65) : 0.28 + 0.44 * k);
    const y = depth * random.uniform(0.35, 0.65);
    const half = random.uniform(0.1, 0.3);
    const decal = { u0: x - half, u1: x + half, v0: y - half, v1: y + half, material: panel };
    surfaces[Face.ceiling]!.decals.push({ ...decal, label: Stanford.ceiling });
    const colour = [1 + warmth, 1, 1 - warmth].map((c) => (c * strength) / count);
    return { x, y, z: height - 0.06, spread: 2 * half, colour: colour as [number, number, number] };
  });
}
