import { kindOf, type ModalitySpec, Random, Stream } from '../data/index.js';
import { modalitySpecShape } from '../data/rules.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import type { AnyDraw, FrameworkContext, Joined } from './framework.js';
import { ALONE, ownRows, type Peers } from './peers.js';
import { peersShape } from './rules.js';

/** Side lengths of a CutMix box: its share of the area and its aspect, uniform in log. */
const AREA = [0.02, 0.4] as const;
const ASPECT = [0.3, 1 / 0.3] as const;

/**
 * What the student sees of images that are joined, and the labels that it learns from: all but the first
 * of the batches with other colours, the last images of them, as many as there are boxes, with a box of
 * one another; their pseudo labels alike. The masks stay those of the places.
 * @param pseudo [B, H, W], or several of each image, [B, n, H, W]
 */
export function studentView(
  { modalities, options, peers }: FrameworkContext,
  { modalities: images, size, counts }: Joined,
  pseudo: Tensor,
  { boxes, colourSeed = null }: Pick<AnyDraw, 'boxes' | 'colourSeed'>,
): { images: Tensor[]; pseudo: Tensor } {
  const [first, ...others] = counts as [number, ...number[]];
  const draw =
    colourSeed === null ? undefined : sharedDraw(ownRows(peers, others), peers, colourSeed);
  const jittered =
    options.colourJitter === 0
      ? images
      : changeRows(images, first, (rest) =>
          jitterColours(rest, modalities, options.colourJitter, draw),
        );
  const numbers = boxes instanceof torch.Tensor ? boxes.shape[0]! : boxes.length;
  if (numbers === 0) return { images: [...jittered], pseudo };
  const from = size - numbers / 4;
  const mixed = changeRows([...jittered, pseudo], from, (rest) => mixBoxes(rest, boxes, peers));
  return { images: mixed.slice(0, -1), pseudo: mixed.at(-1)! };
}

/** Draws numbers for the rows of the whole batch, one draw after the other, and takes those of the own. */
function sharedDraw(rows: readonly number[], { worldSize }: Peers, seed: number): DrawNumbers {
  const generators = new Map<string, torch.Generator>();
  return (numbers, count, device) => {
    const generator = generators.get(device) ?? new torch.Generator(device).manualSeed(seed);
    generators.set(device, generator);
    const whole = torch.rand([numbers, count * worldSize], { device, generator });
    return whole.indexSelect(1, torch.tensor(BigInt64Array.from(rows, BigInt), { device }));
  };
}

/** U[0, 1) [numbers, count] for the rows of a batch. */
type DrawNumbers = (numbers: number, count: number, device: string) => Tensor;

/** Tensors whose rows from `from` on are what `change` makes of them. */
function changeRows(
  tensors: readonly Tensor[],
  from: number,
  change: (rest: Tensor[]) => Tensor[],
): Tensor[] {
  const rest = change(tensors.map((tensor) => tensor.narrow(0, from, tensor.shape[0]! - from)));
  return tensors.map((tensor, i) => torch.cat([tensor.narrow(0, 0, from), rest[i]!]));
}

/**
 * The boxes of CutMix of `count` images, 4 numbers each: top, left, bottom, right as shares of the sides;
 * an empty one with probability 1 − `probability`. Of one image there is no other to take a box from.
 */
export function drawBoxes(
  options: { cutMix: number; seed: number },
  iteration: number,
  count: number,
): number[] {
  checkArguments(
    'drawBoxes',
    { options, iteration, count },
    {
      options: is.shape('options', { cutMix: is.finite, seed: is.finite }),
      iteration: is.finite,
      count: is.finite,
    },
  );
  const { cutMix, seed } = options;

  if (cutMix === 0 || count < 2) return [];
  const random = new Random(Stream.cutMix, seed, iteration);
  return Array.from({ length: count }, () => {
    const mixes = random.chance(cutMix);
    const area = random.uniform(...AREA);
    const aspect = Math.exp(random.uniform(Math.log(ASPECT[0]), Math.log(ASPECT[1])));
    const height = Math.min(1, Math.sqrt(area * aspect));
    const width = Math.min(1, Math.sqrt(area / aspect));
    const top = random.uniform(0, 1 - height);
    const left = random.uniform(0, 1 - width);
    return mixes ? [top, left, top + height, left + width] : [0, 0, 0, 0];
  }).flat();
}

/**
 * A box of each image's predecessor in its place (the first has the last's), [U, …, H, W] of all
 * tensors alike.
 * @param boxes what `drawBoxes` gave: numbers, or float64 [4U] on the device
 * @param peers with whom the images are shared, if with any: the predecessor of the first is the last one
 *   of the process before
 */
export function mixBoxes(
  tensors: readonly Tensor[],
  boxes: readonly number[] | Tensor,
  peers: Peers = ALONE,
): Tensor[] {
  checkArguments(
    'mixBoxes',
    { tensors, boxes, peers },
    {
      tensors: is.filled(is.listOf(is.tensor)),
      boxes: is.either(is.tensor, is.listOf(is.finite)),
      peers: peersShape,
    },
  );

  const [first] = tensors;
  const { device } = first!;
  const edges = (
    boxes instanceof torch.Tensor ? boxes : torch.tensor(Float64Array.from(boxes), { device })
  ).reshape([-1, 4, 1]);
  const [height, width] = first!.shape.slice(-2) as [number, number];
  const along = (size: number, from: number, to: number) => {
    const at = torch.arange(size, { device, dtype: 'float64' }).div(size).unsqueeze(0); // [1, size]
    return at.ge(edges.select(1, from)).logicalAnd(at.lt(edges.select(1, to))); // [U, size]
  };
  const inside = along(height, 0, 2)
    .unsqueeze(2)
    .logicalAnd(along(width, 1, 3).unsqueeze(1)); // [U, H, W]
  return tensors.map((tensor) => {
    const mask = tensor.ndim === 4 ? inside.unsqueeze(1) : inside;
    return torch.where(mask, predecessors(tensor, peers), tensor);
  });
}

/** [U, …]: of each row the one before it, of the first the last of the process before. */
function predecessors(tensor: Tensor, { rank, worldSize, gather }: Peers): Tensor {
  if (worldSize === 1) return tensor.roll([1], [0]);
  const rows = tensor.shape[0]!;
  const lasts = gather(tensor.narrow(0, rows - 1, 1));
  const before = lasts[(rank + worldSize - 1) % worldSize]!;
  return torch.cat([before, tensor.narrow(0, 0, rows - 1)]);
}

/**
 * Pictures with other brightness, contrast and saturation, drawn per image from the default generator, or
 * by `draw`; modalities that light does not change stay as they are.
 * @param modalities M × [B, 3, H, W] normalised
 * @param strength 0 to 1: contrast and saturation by ± that factor, brightness by ± as many deviations
 */
export function jitterColours(
  modalities: readonly Tensor[],
  specs: readonly ModalitySpec[],
  strength: number,
  draw: DrawNumbers = (numbers, count, device) => torch.rand([numbers, count], { device }),
): Tensor[] {
  checkArguments(
    'jitterColours',
    { modalities, specs, strength, draw },
    {
      modalities: is.listOf(is.tensor),
      specs: is.listOf(modalitySpecShape),
      strength: is.finite,
      draw: is.callback,
    },
  );

  return modalities.map((input, m) => {
    if (!kindOf(specs[m]!).photometric) return input;
    const { device } = input;
    const count = input.shape[0]!;
    const [brightness, contrast, saturation] = draw(3, count, device)
      .reshape([3, count, 1, 1, 1])
      .mul(2 * strength)
      .sub(strength)
      .unbind(0) as [Tensor, Tensor, Tensor];
    const grey = input.mean([1], true);
    const faded = input.sub(grey).mul(saturation.add(1)).add(grey);
    return faded.mul(contrast.add(1)).add(brightness);
  });
}
