import type { Tensor } from '../torch/index.js';

/** A place on the line: how far, the loss there, its gradient, and the slope along the line. */
export interface Place {
  at: number;
  loss: number;
  gradient: Tensor;
  slope: number;
}

export interface LineSearch {
  /** Evaluates the loss so far along the line. */
  evaluate(at: number): Place;
  /** Where the line begins, at 0. */
  start: Place;
  /** The first step to try. */
  step: number;
  /** The largest element of the direction. */
  reach: number;
}

const SUFFICIENT = 1e-4;
const CURVATURE = 0.9;
const MOST_TRIES = 25;
/** Intervals that reach less are not looked into. */
const SHORTEST = 1e-9;

/**
 * A step with a sufficiently lower loss and a flatter slope (strong Wolfe conditions): bracketing, then
 * zooming with cubic interpolation (Nocedal and Wright, 2006, algorithms 3.5 and 3.6), with the bounds
 * and safeguards of PyTorch's LBFGS, after Schmidt's minFunc.
 *
 * @returns the place found, and how often the loss was evaluated
 */
export function strongWolfe(search: LineSearch): { place: Place; evaluations: number } {
  const { evaluate, start, reach } = search;
  const tooHigh = ({ at, loss }: Place) => loss > start.loss + SUFFICIENT * at * start.slope;
  const flat = ({ slope }: Place) => Math.abs(slope) <= -CURVATURE * start.slope;

  let evaluations = 1;
  let place = evaluate(search.step);
  let previous = start;
  let bracket: Place[] = [];
  let found = false;
  let tries = 0;
  for (; tries < MOST_TRIES; tries++) {
    if (tooHigh(place) || (tries > 1 && place.loss >= previous.loss)) {
      bracket = [previous, place];
    } else if (flat(place)) {
      bracket = [place];
      found = true;
    } else if (place.slope >= 0) {
      bracket = [previous, place];
    }
    if (bracket.length > 0) break;
    const least = place.at + 0.01 * (place.at - previous.at);
    const next = cubicMinimum(previous, place, [least, place.at * 10]);
    previous = place;
    place = evaluate(next);
    evaluations += 1;
  }
  if (bracket.length === 0) bracket = [start, place];

  let stuck = false;
  let [low, high] = bracket[0]!.loss <= bracket.at(-1)!.loss ? [0, 1] : [1, 0];
  while (!found && tries < MOST_TRIES) {
    const [one, other] = bracket as [Place, Place];
    if (Math.abs(other.at - one.at) * reach < SHORTEST) break;
    let next = cubicMinimum(one, other);
    // A minimum at the edge of the bracket makes no progress: twice in a row it is moved inside.
    const [least, most] = [Math.min(one.at, other.at), Math.max(one.at, other.at)];
    const margin = 0.1 * (most - least);
    if (Math.min(most - next, next - least) < margin) {
      if (stuck || next >= most || next <= least) {
        next = Math.abs(next - most) < Math.abs(next - least) ? most - margin : least + margin;
        stuck = false;
      } else {
        stuck = true;
      }
    } else {
      stuck = false;
    }
    place = evaluate(next);
    evaluations += 1;
    tries += 1;
    if (tooHigh(place) || place.loss >= bracket[low]!.loss) {
      bracket[high] = place;
      [low, high] = bracket[0]!.loss <= bracket[1]!.loss ? [0, 1] : [1, 0];
    } else {
      if (flat(place)) {
        found = true;
      } else if (place.slope * (bracket[high]!.at - bracket[low]!.at) >= 0) {
        bracket[high] = bracket[low]!;
      }
      bracket[low] = place;
    }
  }
  return { place: bracket.length === 1 ? bracket[0]! : bracket[low]!, evaluations };
}

/** Where the cubic through two places with their slopes is least, between bounds. */
function cubicMinimum(one: Place, other: Place, bounds?: [number, number]): number {
  const [least, most] = bounds ?? [Math.min(one.at, other.at), Math.max(one.at, other.at)];
  const d1 = one.slope + other.slope - (3 * (one.loss - other.loss)) / (one.at - other.at);
  const square = d1 ** 2 - one.slope * other.slope;
  if (!(square >= 0)) return (least + most) / 2;
  const d2 = Math.sqrt(square);
  const [left, right] = one.at <= other.at ? [one, other] : [other, one];
  const width = right.at - left.at;
  const share = (right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2);
  return Math.min(Math.max(right.at - width * share, least), most);
}
