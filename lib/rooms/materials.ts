/** Procedural surfaces: a material gives an albedo (linear light, 0 to 1) for each point (u, v) in metres. */

import { mix32 } from '../data/random.js';

export type Texture =
  | 'plain'
  | 'plaster'
  | 'wood'
  | 'planks'
  | 'tiles'
  | 'bricks'
  | 'carpet'
  | 'stripes'
  | 'books'
  | 'board'
  | 'window'
  | 'door'
  | 'poster';

export type Colour = readonly [number, number, number];

export interface Material {
  readonly texture: Texture;
  readonly colour: Colour;
  /** Mortar, frame, chalk, grain: whatever the texture has beside its colour. */
  readonly accent: Colour;
  /** Size of the texture's element, metres. */
  readonly scale: number;
  readonly seed: number;
  /** 0 matt to 1 mirror or glass; depth sensors lose shiny surfaces, and see none of the last. */
  readonly gloss: number;
  /** Light emitted, as a multiple of the albedo. */
  readonly glow: number;
  /** Extent (u, v) of a decal with a frame; the texture's origin is its lower left corner. */
  readonly extent: readonly [number, number];
}

export function material(
  texture: Texture,
  colour: Colour,
  options: Partial<Omit<Material, 'texture' | 'colour'>> = {},
): Material {
  return {
    texture,
    colour,
    accent: options.accent ?? [colour[0] * 0.6, colour[1] * 0.6, colour[2] * 0.6],
    scale: options.scale ?? 0.3,
    seed: options.seed ?? 0,
    gloss: options.gloss ?? 0,
    glow: options.glow ?? 0,
    extent: options.extent ?? [1, 1],
  };
}

function cell(x: number, y: number, seed: number): number {
  return mix32(Math.imul(x, 0x27d4eb2d) ^ Math.imul(y, 0x165667b1) ^ seed) / 0x1_0000_0000;
}

/** Smooth value noise in [0, 1), one lattice cell a unit. */
export function noise(u: number, v: number, seed: number): number {
  const x = Math.floor(u);
  const y = Math.floor(v);
  const fx = u - x;
  const fy = v - y;
  const sx = fx * fx * (3 - 2 * fx);
  const sy = fy * fy * (3 - 2 * fy);
  const low = cell(x, y, seed) * (1 - sx) + cell(x + 1, y, seed) * sx;
  const high = cell(x, y + 1, seed) * (1 - sx) + cell(x + 1, y + 1, seed) * sx;
  return low * (1 - sy) + high * sy;
}

type Rgb = [number, number, number];

function blend(out: Rgb, m: Material, amount: number, brightness: number): void {
  for (let k = 0; k < 3; k++) {
    out[k] = (m.colour[k]! * (1 - amount) + m.accent[k]! * amount) * brightness;
  }
}

/** Writes the albedo at (u, v) to `out`. */
export function albedo(m: Material, u: number, v: number, out: Rgb): void {
  textures[m.texture](m, u, v, out);
}

const textures: Record<Texture, (m: Material, u: number, v: number, out: Rgb) => void> = {
  plain: (m, _u, _v, out) => blend(out, m, 0, 1),

  plaster: (m, u, v, out) => {
    const coarse = noise(u * 1.7, v * 1.7, m.seed);
    const fine = noise(u * 14, v * 14, m.seed + 1);
    blend(out, m, 0, 0.9 + 0.14 * coarse + 0.06 * fine);
  },

  wood: (m, u, v, out) => {
    const grain = noise(u * 2.2, v * 26, m.seed) * 0.65 + noise(u * 7, v * 70, m.seed + 1) * 0.35;
    blend(out, m, grain * 0.7, 1);
  },

  planks: (m, u, v, out) => {
    const row = Math.floor(v / m.scale);
    const shift = cell(row, 7, m.seed) * 1.2;
    const plank = Math.floor((u + shift) / 1.2);
    const tone = cell(plank, row, m.seed + 3);
    const edge = v / m.scale - row < 0.05 || (u + shift) / 1.2 - plank < 0.01;
    const grain = noise(u * 3, v * 40, m.seed + row);
    blend(out, m, edge ? 1 : grain * 0.45, 0.82 + 0.32 * tone);
  },

  tiles: (m, u, v, out) => {
    const x = u / m.scale;
    const y = v / m.scale;
    const column = Math.floor(x);
    const row = Math.floor(y);
    const joint = x - column < 0.04 || y - row < 0.04;
    blend(out, m, joint ? 1 : 0, 0.93 + 0.14 * cell(column, row, m.seed));
  },

  bricks: (m, u, v, out) => {
    const row = Math.floor(v / (m.scale * 0.4));
    const x = u / m.scale + (row & 1) * 0.5;
    const column = Math.floor(x);
    const joint = x - column < 0.06 || v / (m.scale * 0.4) - row < 0.13;
    blend(out, m, joint ? 1 : 0, 0.8 + 0.4 * cell(column, row, m.seed));
  },

  carpet: (m, u, v, out) => {
    const fibre = noise(u * 45, v * 45, m.seed);
    const stain = noise(u * 2.5, v * 2.5, m.seed + 1);
    blend(out, m, fibre * 0.45, 0.85 + 0.25 * stain);
  },

  stripes: (m, u, _v, out) => {
    const phase = u / m.scale - Math.floor(u / m.scale);
    blend(out, m, phase < 0.45 ? 0.55 : 0, 1);
  },

  books: (m, u, v, out) => {
    const x = u / m.scale;
    const spine = Math.floor(x);
    const gap = x - spine < 0.1;
    const title = v > 0.1 && v < 0.16;
    const hue = cell(spine, 1, m.seed);
    const tone = 0.12 + 0.6 * cell(spine, 2, m.seed);
    out[0] = tone * (0.35 + 0.9 * hue);
    out[1] = tone * (0.35 + 0.7 * cell(spine, 3, m.seed));
    out[2] = tone * (0.3 + 0.9 * (1 - hue));
    if (gap) for (let k = 0; k < 3; k++) out[k] = out[k]! * 0.25;
    else if (title && tone < 0.5) for (let k = 0; k < 3; k++) out[k] = out[k]! + 0.25;
  },

  board: (m, u, v, out) => {
    const [width, height] = m.extent;
    const border = Math.min(u, width - u, v, height - v);
    if (border < 0.035) {
      out[0] = out[1] = out[2] = 0.32;
      return;
    }
    // Lines of "writing": strokes wherever a fast noise crosses its middle, within some of the rows.
    const row = Math.floor(v / 0.13);
    const written = cell(row, 5, m.seed) < 0.6 && u < width * (0.3 + 0.6 * cell(row, 6, m.seed));
    const inLine = v / 0.13 - row > 0.25 && v / 0.13 - row < 0.75;
    const stroke = Math.abs(noise(u * 22, v * 30, m.seed + 9) - 0.5) < 0.09;
    const smear = noise(u * 3, v * 3, m.seed + 4);
    blend(out, m, written && inLine && stroke && border > 0.08 ? 0.85 : 0, 0.9 + 0.15 * smear);
  },

  window: (m, u, v, out) => {
    const [width, height] = m.extent;
    const panes = Math.max(1, Math.round(width / m.scale));
    const x = (u / width) * panes;
    const bar = Math.abs(x - Math.round(x)) * (width / panes);
    if (Math.min(v, height - v, bar) < 0.035 || Math.abs(v - height * 0.68) < 0.02) {
      out[0] = m.accent[0];
      out[1] = m.accent[1];
      out[2] = m.accent[2];
      return;
    }
    // Outside: sky above a skyline of trees or houses.
    const skyline = height * (0.25 + 0.35 * noise(u * 1.6, 3, m.seed));
    const leaves = noise(u * 9, v * 9, m.seed + 2);
    if (v > skyline) {
      blend(out, m, 0, 0.75 + 0.35 * (v / height));
    } else {
      out[0] = m.colour[0] * (0.16 + 0.16 * leaves);
      out[1] = m.colour[1] * (0.2 + 0.2 * leaves);
      out[2] = m.colour[2] * (0.12 + 0.1 * leaves);
    }
  },

  door: (m, u, v, out) => {
    const [width, height] = m.extent;
    const border = Math.min(u, width - u, height - v);
    const handle = Math.hypot(u - width * 0.86, v - height * 0.48) < 0.045;
    const panelEdge = (low: number, high: number) =>
      Math.min(Math.abs(v - height * low), Math.abs(v - height * high)) < 0.018 ||
      (v > height * low && v < height * high && Math.abs(Math.min(u, width - u) - 0.17) < 0.018);
    const inside = u > 0.15 && u < width - 0.15;
    const grain = noise(u * 24, v * 2, m.seed);
    if (handle) out[0] = out[1] = out[2] = 0.45;
    else if (border < 0.06) blend(out, m, 0.75, 1);
    else if (inside && (panelEdge(0.08, 0.42) || panelEdge(0.55, 0.92))) blend(out, m, 0.6, 1);
    else blend(out, m, grain * 0.2, 1);
  },

  poster: (m, u, v, out) => {
    const [width, height] = m.extent;
    if (Math.min(u, width - u, v, height - v) < 0.03) return blend(out, m, 1, 1);
    const scale = 3.5 / width;
    for (let k = 0; k < 3; k++) {
      const blob = noise(u * scale, v * scale, m.seed + k * 17);
      out[k] = 0.08 + 0.75 * blob * blob + 0.1 * noise(u * 30, v * 30, m.seed + k);
    }
  },
};
