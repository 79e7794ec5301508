/** Resizing of whole decoded images, once, before they are cached. */

import { type NearestRule, nearestPixel } from './geometry.js';
import { emptyLike, isInteger, type Picture } from './picture.js';

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
  const data = emptyLike(picture.data, width * height * channels);
  for (let row = 0, to = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const from = (rows[row]! * picture.width + columns[column]!) * channels;
      for (let c = 0; c < channels; c++) data[to++] = picture.data[from + c]!;
    }
  }
  return { ...picture, width, height, data };
}

/** Bilinear with antialiasing (a triangle as wide as the reduction), rounded where integers are stored. */
export function resizeSmooth<P extends Picture>(picture: P, height: number, width: number): P {
  if (picture.width === width && picture.height === height) return picture;
  const { channels } = picture;
  const across = triangleTaps(picture.width, width);
  const integer = isInteger(picture.data);
  // 32-bit integers do not fit float32.
  const wide = integer && picture.data.BYTES_PER_ELEMENT > 2;
  const Sums = wide || picture.data instanceof Float64Array ? Float64Array : Float32Array;
  const narrow = new Sums(picture.height * width * channels);
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
  const data = emptyLike(picture.data, height * stride);
  for (let row = 0; row < height; row++) {
    const { first, weights } = down[row]!;
    for (let i = 0; i < stride; i++) {
      let sum = integer ? 0.5 : 0;
      for (let k = 0; k < weights.length; k++) {
        sum += weights[k]! * narrow[(first + k) * stride + i]!;
      }
      data[row * stride + i] = integer ? Math.floor(sum) : sum;
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
