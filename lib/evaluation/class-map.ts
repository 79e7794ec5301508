import { bilinear } from '../models/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';

/** Where in padded inputs the pictures lie. */
export interface PictureWindow {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** What logits of the head's resolution stand for. */
export interface HeadInputs {
  /** [height, width] of the inputs, padding included: what the logits are upsampled to. */
  readonly padded: readonly [number, number];
  readonly window: PictureWindow;
}

/** What `classMap` takes by name. */
export interface ClassMapOptions {
  /**
   * How logits of another size are brought to `size`: with half-pixel centres (default), as images are
   * resized, or with the corners aligned, as the paper's evaluation has it.
   */
  alignCorners?: boolean;
  /** The logits are the head's: first to be brought to the inputs' size (align_corners true). */
  inputs?: HeadInputs;
}

/** So many logits are computed at once; of more, a class at a time. */
const AT_ONCE = 2 ** 20;

/**
 * The class of each pixel, [B, H, W] int64, at `size` [height, width] (default: the pictures'): logits
 * of another size are resized first (bilinear), so that class borders stay smooth. The first of equals.
 * However many classes there are, full-size maps of two at most exist at a time.
 *
 * @param logits [B, K, h, w]
 */
export function classMap(
  logits: Tensor,
  size?: readonly number[],
  options: ClassMapOptions = {},
): Tensor {
  checkArguments(
    'classMap',
    { logits, size, options },
    { logits: is.tensor, size: is.maybe(is.listOf(is.finite)), options: is.record },
  );
  const { alignCorners = false, inputs } = options;

  const [batch, classes, h, w] = logits.shape as [number, number, number, number];
  const picture = inputs?.window ?? { top: 0, left: 0, height: h, width: w };
  const [height, width] = (size ?? [picture.height, picture.width]) as [number, number];
  const asPicture = height === picture.height && width === picture.width;
  return torch.scope(() =>
    torch.noGrad(() => {
      if (asPicture && !inputs) return logits.argmax(1);
      if (asPicture && inputs) {
        const labels = torch.ops.m3l!.upsample_argmax!(logits, inputs.padded) as Tensor;
        return windowOf(labels, inputs);
      }
      const upsample = inputs ? bilinear(logits, [...inputs.padded]) : null;
      const resized = (some: Tensor) => {
        const full = upsample && inputs ? windowOf(upsample(some), inputs) : some;
        return torch.upsampleBilinear2d(full, [height, width], alignCorners);
      };
      if (batch * classes * height * width <= AT_ONCE) return resized(logits).argmax(1);
      const { dtype, device } = logits;
      const best = torch.full([batch, height, width], -Infinity, { dtype, device });
      const labels = torch.zeros([batch, height, width], { dtype: 'int16', device });
      for (let k = 0; k < classes; k++) {
        torch.scope(() => {
          const one = resized(logits.narrow(1, k, 1)).squeeze(1);
          labels.maskedFill_(one.gt(best), k);
          best.clampMin_(one);
        });
      }
      return labels.to('int64');
    }),
  );
}

/**
 * The softmax probabilities of each pixel, [B, K, H, W], with the logits brought to `size` as by
 * `classMap`; an image at a time.
 */
export function probabilityMap(
  logits: Tensor,
  size: readonly number[],
  options: ClassMapOptions = {},
): Tensor {
  return imageByImage(logits, probabilitiesAt(logits, size, options));
}

/** The highest of the probabilities of each pixel, [B, H, W]; see {@link probabilityMap}. */
export function confidenceMap(
  logits: Tensor,
  size: readonly number[],
  options: ClassMapOptions = {},
): Tensor {
  const probabilities = probabilitiesAt(logits, size, options);
  return imageByImage(logits, (image) => probabilities(image).amax([1]));
}

/** Of logits like `like` the probabilities at `size`. */
function probabilitiesAt(
  like: Tensor,
  [height, width]: readonly number[],
  { alignCorners = false, inputs }: ClassMapOptions,
): (logits: Tensor) => Tensor {
  const size = [height!, width!];
  const upsample = inputs ? bilinear(like, [...inputs.padded]) : null;
  return (logits) => {
    const full = upsample && inputs ? windowOf(upsample(logits), inputs) : logits;
    const same = size.join() === full.shape.slice(2).join();
    const resized = same ? full : torch.upsampleBilinear2d(full, size, alignCorners);
    return resized.softmax(1);
  };
}

function imageByImage(logits: Tensor, of: (image: Tensor) => Tensor): Tensor {
  const images = Array.from({ length: logits.shape[0]! }, (_, b) =>
    torch.scope(() => of(logits.narrow(0, b, 1))),
  );
  return torch.cat(images);
}

/** The pictures' part of maps [.., H, W] of padded inputs. */
export function windowOf(maps: Tensor, { padded, window }: HeadInputs): Tensor {
  const { top, left, height, width } = window;
  if (padded[0] === height && padded[1] === width) return maps;
  return maps.narrow(-2, top, height).narrow(-1, left, width);
}
