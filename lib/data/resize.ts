/** Resizing of whole decoded images, once, before they are cached. */

import { type NearestRule, nearestPixel } from './geometry.js';
import type { Picture } from './image.js';

/** Nearest neighbour: for depth and labels, whose values must not be mixed. */
export function resizeNearest<P extends Picture>(
  picture: P,
  height: number,
  width: number,
  rule?: NearestRule,
): P {
  if (picture.width === width && picture.height === height) return picture;
  const { channels } = picture;
  const rows = nearestIndices(picture.height, height, rule);
  const columns = nearestIndices(picture.width, width, rule);
  const data = emptyLike(picture, width * height * channels);
  for (let row = 0, to = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const from = (rows[row]! * picture.width + columns[column]!) * channels;
      for (let c = 0; c < channels; c++) data[to++] = picture.data[from + c]!;
    }
  }
  return { ...picture, width, height, data };
}

/** Bilinear with antialiasing (a triangle as wide as the reduction), rounded to the stored integers. */
export function resizeSmooth<P extends Picture>(picture: P, height: number, width: number): P {
  if (picture.width === width && picture.height === height) return picture;
  const { channels } = picture;
  const across = triangleTaps(picture.width, width);
  const narrow = new Float32Array(picture.height * width * channels);
  for (let row = 0; row < picture.height; row++) {
    for (let column = 0; column < width; column++) {
      const { first, weights } = across[column]!;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          sum += weights[k]! * picture.data[(row * picture.width + first + k) * channels + c]!;
        }
        narrow[(row * width + column) * channels + c] = sum;
      }
    }
  }
  const down = triangleTaps(picture.height, height);
  const stride = width * channels;
  const data = emptyLike(picture, height * stride);
  for (let row = 0; row < height; row++) {
    const { first, weights } = down[row]!;
    for (let i = 0; i < stride; i++) {
      let sum = 0.5;
      for (let k = 0; k < weights.length; k++) {
        sum += weights[k]! * narrow[(first + k) * stride + i]!;
      }
      data[row * stride + i] = Math.floor(sum);
    }
  }
  return { ...picture, width, height, data };
}

/** The source index of the nearest pixel for each target index. */
function nearestIndices(source: number, target: number, rule?: NearestRule): Int32Array {
  const nearest = nearestPixel(source, target, rule);
  return Int32Array.from({ length: target }, (_, i) => nearest(i));
}

interface Taps {
  readonly first: number;
  readonly weights: Float64Array;
}

function triangleTaps(source: number, target: number): Taps[] {
  const ratio = source / target;
  const reach = Math.max(1, ratio);
  return Array.from({ length: target }, (_, i) => {
    const centre = (i + 0.5) * ratio;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const last = Math.min(source, Math.floor(centre + reach + 0.5));
    const weights = Float64Array.from({ length: last - first }, (_, k) =>
      Math.max(0, 1 - Math.abs(first + k + 0.5 - centre) / reach),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

function emptyLike(picture: Picture, length: number): Uint8Array | Uint16Array {
  return picture.data instanceof Uint16Array ? new Uint16Array(length) : new Uint8Array(length);
}
