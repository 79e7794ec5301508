/** Rooms that differ in more than what stands in them: what weights are pretrained on. */

import { Stanford } from '../data/classes.js';
import { Random, Stream } from '../data/random.js';
import type { Colour, Material, Texture } from './materials.js';
import type { Camera, Light, Scene } from './scene.js';

/** How a camera turns light into bytes. */
export interface Development {
  /** Range of the mean that the picture is exposed to, linear light. */
  readonly exposure: readonly [number, number];
  /** Standard deviation of the logarithm of the white balance's error. */
  readonly warmth: number;
  /** Range of the noise's standard deviation, of 255. */
  readonly grain: readonly [number, number];
}

/** A camera that errs a little. */
export const USUAL_DEVELOPMENT: Development = {
  exposure: [0.2, 0.36],
  warmth: 0.09,
  grain: [0.8, 3.2],
};

/** One that errs much. */
export const VARIED_DEVELOPMENT: Development = {
  exposure: [0.08, 0.5],
  warmth: 0.25,
  grain: [0.5, 8],
};

/** What `RoomOptions` gives to all rooms alike, drawn for one. */
export interface Difficulty {
  readonly camouflage: number;
  readonly typicalColours: number;
  readonly depthNoise: number;
}

/** From easy to hard in either modality, independently. */
export function drawDifficulty(seed: number): Difficulty {
  const random = new Random(Stream.roomVariety, seed, 0);
  return {
    camouflage: random.uniform(0, 0.8),
    typicalColours: random.chance(0.5) ? 0 : random.uniform(0, 0.9),
    depthNoise: random.uniform(0, 2),
  };
}

/** Textures that need no frame, and so suit any surface. */
const ENDLESS: readonly Texture[] = [
  'plain',
  'plaster',
  'wood',
  'planks',
  'tiles',
  'bricks',
  'carpet',
  'stripes',
];

/** The scene under other light, through another lens, and with some of its materials exchanged. */
export function varyScene(scene: Scene, seed: number): Scene {
  const random = new Random(Stream.roomVariety, seed, 1);
  const camera = varyCamera(scene.camera, random);
  const level = Math.exp(0.5 * random.normal());
  const tint = drawTint(random);
  const lights = scene.lights.map((light) => varyLight(light, random));
  const share = random.uniform(0, 0.8);
  const worn = new Map<Material, Material>();
  const exchanged = (material: Material): Material => {
    const known = worn.get(material);
    if (known) return known;
    const made = random.chance(share) ? drawMaterial(material, random) : material;
    worn.set(material, made);
    return made;
  };
  // What glows is a lamp or a bright window, and lights the room as it is.
  const dress = <T extends { material: Material; label: number }>(one: T): T =>
    one.material.glow > 0 || one.label === Stanford.window
      ? one
      : { ...one, material: exchanged(one.material) };
  return {
    ...scene,
    camera,
    lights,
    ambient: scene.ambient.map((value, k) => value * level * tint[k]!) as unknown as Colour,
    surfaces: scene.surfaces.map((one) => ({ ...dress(one), decals: one.decals.map(dress) })),
    furniture: scene.furniture.map((one) => ({ ...one, primitives: one.primitives.map(dress) })),
  };
}

/** From tele to wide angle, and held askew; where it stands and looks stays. */
function varyCamera(camera: Camera, random: Random): Camera {
  const focal = camera.focal * Math.exp(random.uniform(-0.3, 0.5));
  const roll = 0.12 * random.normal();
  const turned = (a: Colour, b: Colour, sign: number) =>
    a.map(
      (value, k) => value * Math.cos(roll) + sign * Math.sin(roll) * b[k]!,
    ) as unknown as Colour;
  const { right, down } = camera;
  return { ...camera, focal, right: turned(right, down, 1), down: turned(down, right, -1) };
}

function varyLight(light: Light, random: Random): Light {
  const strength = Math.exp(0.6 * random.normal());
  const tint = drawTint(random);
  const colour = light.colour.map((value, k) => value * strength * tint[k]!) as unknown as Colour;
  return { ...light, colour };
}

/** Factors of the channels, around 1. */
function drawTint(random: Random): Colour {
  return [0, 1, 2].map(() => Math.exp(0.2 * random.normal())) as unknown as Colour;
}

/** Other colours; another texture too where the surface's has no frame. */
function drawMaterial(material: Material, random: Random): Material {
  const endless = ENDLESS.includes(material.texture);
  return {
    ...material,
    texture: endless ? random.pick(ENDLESS) : material.texture,
    colour: drawColour(random),
    accent: drawColour(random),
    scale: endless ? 0.05 * Math.exp(random.uniform(0, 2.5)) : material.scale,
    seed: random.uint32() | 0,
    gloss: Math.min(material.gloss, 0.99) * random.uniform(0, 1.5),
  };
}

/** An albedo: any hue, any brightness. */
function drawColour(random: Random): Colour {
  const level = 0.03 * Math.exp(random.uniform(0, 3.3));
  const saturation = random.uniform();
  const channel = () =>
    Math.min(0.95, Math.max(0.01, level * (1 + saturation * random.uniform(-1, 1))));
  return [channel(), channel(), channel()];
}
