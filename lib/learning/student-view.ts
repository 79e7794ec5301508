import { kindOf, type ModalitySpec, Random, Stream } from '../data/index.js';
import { modalitySpecShape } from '../data/rules.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import type { AnyDraw, FrameworkContext } from './framework.js';

/** Side lengths of a CutMix box: its share of the area and its aspect, uniform in log. */
const AREA = [0.02, 0.4] as const;
const ASPECT = [0.3, 1 / 0.3] as const;

/**
 * What the student sees of images that are joined, and the labels that it learns from: all from
 * `coloured` on with other colours, the last of them, as many as there are boxes, with a box of one
 * another; their pseudo labels alike. The masks stay those of the places.
 * @param pseudo [B, H, W], or several of each image, [B, n, H, W]
 */
export function studentView(
  { modalities, options }: FrameworkContext,
  images: readonly Tensor[],
  pseudo: Tensor,
  { coloured, boxes }: { coloured: number; boxes: AnyDraw['boxes'] },
): { images: Tensor[]; pseudo: Tensor } {
  const size = pseudo.shape[0]!;
  const jittered =
    options.colourJitter === 0
      ? images
      : changeRows(images, coloured, (rest) =>
          jitterColours(rest, modalities, options.colourJitter),
        );
  const numbers = boxes instanceof torch.Tensor ? boxes.shape[0]! : boxes.length;
  if (numbers === 0) return { images: [...jittered], pseudo };
  const from = size - numbers / 4;
  const mixed = changeRows([...jittered, pseudo], from, (rest) => mixBoxes(rest, boxes));
  return { images: mixed.slice(0, -1), pseudo: mixed.at(-1)! };
}

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
 */
export function mixBoxes(tensors: readonly Tensor[], boxes: readonly number[] | Tensor): Tensor[] {
  checkArguments(
    'mixBoxes',
    { tensors, boxes },
    { tensors: is.filled(is.listOf(is.tensor)), boxes: is.either(is.tensor, is.listOf(is.finite)) },
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
    return torch.where(mask, tensor.roll([1], [0]), tensor);
  });
}

/**
 * Pictures with other brightness, contrast and saturation, drawn per image from the default generator;
 * modalities that light does not change stay as they are.
 * @param modalities M × [B, 3, H, W] normalised
 * @param strength 0 to 1: contrast and saturation by ± that factor, brightness by ± as many deviations
 */
export function jitterColours(
  modalities: readonly Tensor[],
  specs: readonly ModalitySpec[],
  strength: number,
): Tensor[] {
  checkArguments(
    'jitterColours',
    { modalities, specs, strength },
    { modalities: is.listOf(is.tensor), specs: is.listOf(modalitySpecShape), strength: is.finite },
  );

  return modalities.map((input, m) => {
    if (!kindOf(specs[m]!).photometric) return input;
    const { device } = input;
    const [brightness, contrast, saturation] = torch
      .rand([3, input.shape[0]!, 1, 1, 1], { device })
      .mul(2 * strength)
      .sub(strength)
      .unbind(0) as [Tensor, Tensor, Tensor];
    const grey = input.mean([1], true);
    const faded = input.sub(grey).mul(saturation.add(1)).add(grey);
    return faded.mul(contrast.add(1)).add(brightness);
  });
}
