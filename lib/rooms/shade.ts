/** The colour picture: textures, lamps with soft shadows, darker corners, exposure and sensor noise. */

import { mix32, Random, Stream } from '../data/random.js';
import { albedo } from './materials.js';
import { castView, isShadowed, type View } from './raycast.js';
import type { Scene } from './scene.js';
import { forEachPoint } from './surface.js';
import type { Development } from './variety.js';

/** Paints the scene as 8-bit sRGB, `smoothing`² rays a pixel. */
export function paintPicture(
  scene: Scene,
  width: number,
  height: number,
  smoothing: number,
  seed: number,
  development: Development,
): Uint8Array {
  const view = castView(scene, width * smoothing, height * smoothing);
  const light = shadeView(scene, view);
  const averaged = smoothing === 1 ? light : average(light, width, height, smoothing);
  return develop(averaged, seed, development);
}

/** Linear light, 3 floats for each ray of the view. */
function shadeView(scene: Scene, view: View): Float32Array {
  const { furniture, lights, ambient } = scene;
  const out = new Float32Array(view.width * view.height * 3);
  const base: [number, number, number] = [0, 0, 0];
  forEachPoint(scene, view, (i, point, _ray, [x, y, z]) => {
    albedo(point.material, point.u, point.v, base);
    const { normalX, normalY, normalZ } = point;
    const open = openness(scene, x, y, z, normalX, normalY, normalZ);
    const above = 0.8 + 0.2 * normalZ;
    let red = ambient[0] * open * above;
    let green = ambient[1] * open * above;
    let blue = ambient[2] * open * above;
    for (let k = 0; k < lights.length; k++) {
      const lamp = lights[k]!;
      // One random point of the lamp a ray: neighbouring rays together see a soft shadow.
      const dice = mix32(Math.imul(i, 0x9e3779b1) + k);
      const lx = lamp.x + ((dice & 1023) / 1023 - 0.5) * lamp.spread;
      const ly = lamp.y + (((dice >>> 10) & 1023) / 1023 - 0.5) * lamp.spread;
      const dx = lx - x;
      const dy = ly - y;
      const dz = lamp.z - z;
      const length2 = dx * dx + dy * dy + dz * dz;
      const facing = (normalX * dx + normalY * dy + normalZ * dz) / Math.sqrt(length2);
      if (facing <= 0) continue;
      const lift = 2e-3;
      const px = x + normalX * lift;
      const py = y + normalY * lift;
      const pz = z + normalZ * lift;
      if (isShadowed(furniture, px, py, pz, lx, ly, lamp.z)) continue;
      const strength = facing / (0.6 + length2);
      red += lamp.colour[0] * strength;
      green += lamp.colour[1] * strength;
      blue += lamp.colour[2] * strength;
    }
    const glow = point.material.glow;
    out[i * 3] = base[0] * (red + glow);
    out[i * 3 + 1] = base[1] * (green + glow);
    out[i * 3 + 2] = base[2] * (blue + glow);
  });
  return out;
}

/** Cheap ambient occlusion: surfaces darken towards the room's edges and close to the floor. */
function openness(
  scene: Scene,
  x: number,
  y: number,
  z: number,
  nx: number,
  ny: number,
  nz: number,
): number {
  const side = (distance: number) => 1 - 0.38 * Math.exp(-Math.max(0, distance) * 3.5);
  let open = 1;
  if (Math.abs(nx) < 0.9) open *= side(x) * side(scene.width - x);
  if (Math.abs(ny) < 0.9) open *= side(y) * side(scene.depth - y);
  if (Math.abs(nz) < 0.9) open *= side(z) * side(scene.height - z);
  return open;
}

function average(light: Float32Array, width: number, height: number, n: number): Float32Array {
  const out = new Float32Array(width * height * 3);
  for (let row = 0; row < height * n; row++) {
    const target = Math.floor(row / n) * width;
    for (let column = 0; column < width * n; column++) {
      const from = (row * width * n + column) * 3;
      const to = (target + Math.floor(column / n)) * 3;
      // Clipped first, as a lamp or a bright window must not bleed over the whole pixel.
      for (let k = 0; k < 3; k++) out[to + k]! += Math.min(2, light[from + k]!) / (n * n);
    }
  }
  return out;
}

/** Exposure and white balance as of a camera that errs, sRGB curve, noise, 8 bits. */
function develop(light: Float32Array, seed: number, development: Development): Uint8Array {
  const random = new Random(Stream.roomPicture, seed);
  let total = 0;
  for (let i = 0; i < light.length; i++) total += Math.min(1.5, light[i]!);
  const exposure = (random.uniform(...development.exposure) * light.length) / Math.max(1e-6, total);
  const warmth = development.warmth * random.normal();
  const gain = [exposure * Math.exp(warmth), exposure, exposure * Math.exp(-warmth)];
  const grain = random.uniform(...development.grain);
  const out = new Uint8Array(light.length);
  for (let i = 0; i < light.length; i++) {
    const value = light[i]! * gain[i % 3]!;
    // A shoulder instead of a hard clip keeps bright walls from washing out.
    const rolled = value < 0.6 ? value : 0.6 + 0.4 * Math.tanh((value - 0.6) / 0.4);
    const encoded = 255 * rolled ** (1 / 2.2) + grain * random.normal();
    out[i] = Math.max(0, Math.min(255, Math.round(encoded)));
  }
  return out;
}
