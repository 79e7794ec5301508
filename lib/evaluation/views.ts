import { kindOf, type ModalitySpec } from '../data/index.js';
import { bilinear, type ForwardOptions, type Head, type Predictor } from '../models/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';

/** What a prediction is averaged over, as logits. */
export interface Views {
  /** Also the mirrored images (false). */
  flip?: boolean | undefined;
  /** The images at these multiples of their size ([1]). */
  scales?: readonly number[] | undefined;
  /** Parts [height, width] of the images, overlapping, instead of the whole (absent). */
  window?: readonly [number, number] | undefined;
  /** Share of a window's side that it has in common with the next at least (½). */
  windowOverlap?: number | undefined;
}

const DEFAULTS = { flip: false, scales: [1], windowOverlap: 0.5 };

/** The views that were used, with nothing left open; plain JSON. */
export interface UsedViews {
  flip: boolean;
  scales: number[];
  /** Height and width; null: images as a whole. */
  window: [number, number] | null;
  /** Null without a window. */
  windowOverlap: number | null;
}

export function usedViews({ flip, scales, window, windowOverlap }: Views): UsedViews {
  return {
    flip: flip ?? DEFAULTS.flip,
    scales: [...(scales ?? DEFAULTS.scales)],
    window: window === undefined ? null : [window[0], window[1]],
    windowOverlap: window === undefined ? null : (windowOverlap ?? DEFAULTS.windowOverlap),
  };
}

/** The views among other options. */
export function viewsOf(views: Views): Views {
  checkArguments('viewsOf', { views }, { views: is.record });
  const { flip, scales, window, windowOverlap } = views;
  return { flip, scales, window, windowOverlap };
}

type Inputs = readonly (Tensor | null)[];

interface Asked extends Pick<ForwardOptions, 'upsample' | 'filled'> {
  heads: readonly Head[];
  specs: readonly ModalitySpec[];
}

/**
 * The logits of heads, the mean over the views. Of whole images at their size they are what the model gives,
 * otherwise those of the largest view with the others brought to it (bilinear, align_corners true); with
 * `upsample` at the inputs' size.
 */
export function predictViews(
  model: Predictor,
  inputs: Inputs,
  {
    flip = DEFAULTS.flip,
    scales = DEFAULTS.scales,
    window,
    windowOverlap = DEFAULTS.windowOverlap,
  }: Views,
  { heads, specs, upsample = true, filled }: Asked,
): Tensor[] {
  const size = inputs.find((input) => input !== null)!.shape.slice(2) as [number, number];
  const alone = scales.length === 1 && scales[0] === 1;
  const options = { filled, upsample: upsample && alone };
  const predict = (given: Inputs) =>
    window === undefined
      ? model.forwardHeads(given, heads, options)
      : slide(model, given, { window, overlap: windowOverlap }, heads, options);
  const bothWays = (given: Inputs) => {
    const straight = predict(given);
    if (!flip) return straight;
    const mirrored = predict(given.map((input) => input?.flip([3]) ?? null));
    return straight.map((logits, h) => logits.add(mirrored[h]!.flip([3])).mul(0.5));
  };
  if (alone) return bothWays(inputs);
  let mean: Tensor[] = [];
  // The largest first: what the others are brought to.
  for (const scale of [...scales].sort((a, b) => b - a)) {
    const scaled = size.map((side) => Math.max(model.leastSide, Math.round(side * scale)));
    const logits = bothWays(inputs.map((input, m) => input && resized(input, specs[m]!, scaled)));
    const wanted = upsample ? size : mean[0]?.shape.slice(2);
    const alike = wanted ? logits.map((each) => brought(each, wanted)) : logits;
    const shares = alike.map((each) => each.div(scales.length));
    mean = mean.length === 0 ? shares : mean.map((sum, h) => sum.add(shares[h]!));
  }
  return mean;
}

function resized(input: Tensor, spec: ModalitySpec, size: readonly number[]): Tensor {
  if (size.join() === input.shape.slice(2).join()) return input;
  return kindOf(spec).interpolation === 'nearest'
    ? torch.upsampleNearest2d(input, [...size])
    : torch.upsampleBilinear2d(input, [...size], false);
}

function brought(logits: Tensor, size: readonly number[]): Tensor {
  if (size.join() === logits.shape.slice(2).join()) return logits;
  return bilinear(logits, [size[0]!, size[1]!])(logits);
}

/** Each part by itself, the mean where they overlap; at the inputs' size. */
function slide(
  model: Predictor,
  inputs: Inputs,
  { window, overlap }: { window: readonly [number, number]; overlap: number },
  heads: readonly Head[],
  options: Pick<ForwardOptions, 'upsample' | 'filled'>,
): Tensor[] {
  const first = inputs.find((input) => input !== null)!;
  const [batch, , height, width] = first.shape as [number, number, number, number];
  const sides = [Math.min(window[0], height), Math.min(window[1], width)] as const;
  if (sides[0] === height && sides[1] === width) return model.forwardHeads(inputs, heads, options);
  const rows = starts(height, sides[0], overlap);
  const columns = starts(width, sides[1], overlap);
  const sums = heads.map(() =>
    torch.zeros([batch, model.numClasses, height, width], { device: first.device }),
  );
  const part = (whole: Tensor, top: number, left: number) =>
    whole.narrow(2, top, sides[0]).narrow(3, left, sides[1]);
  for (const top of rows) {
    for (const left of columns) {
      torch.scope(() => {
        const given = inputs.map((input) => input && part(input, top, left));
        const logits = model.forwardHeads(given, heads, { ...options, upsample: true });
        for (const [h, each] of logits.entries()) part(sums[h]!, top, left).add_(each);
      });
    }
  }
  const { device } = first;
  const down = torch.tensor(coverage(height, sides[0], rows), { device }).unsqueeze(1);
  const across = torch.tensor(coverage(width, sides[1], columns), { device }).unsqueeze(0);
  const times = down.mul(across);
  return sums.map((sum) => sum.div(times));
}

/** Where windows begin: evenly, as few as overlap enough, the last at the end. */
function starts(side: number, window: number, overlap: number): number[] {
  const stride = Math.max(1, Math.floor(window * (1 - overlap)));
  const count = Math.ceil((side - window) / stride) + 1;
  return Array.from({ length: count }, (_, i) =>
    count === 1 ? 0 : Math.round((i * (side - window)) / (count - 1)),
  );
}

/** How many windows hold each place. */
function coverage(side: number, window: number, from: readonly number[]): Float32Array {
  const counts = new Float32Array(side);
  for (const start of from) for (let i = start; i < start + window; i++) counts[i]!++;
  return counts;
}
