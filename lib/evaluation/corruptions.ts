/** What spoils the inputs of a model, more and more: see `evaluateCurves`. */

import { kindOf, type ModalitySpec, normalisationOf } from '../data/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';

/** Inputs that are spoilt, and whether tokens of a modality are masked besides. */
export interface Corrupted {
  inputs: Tensor[];
  masking?: { modality: number; ratio: number };
}

/** A way in which inputs get worse, by a level. */
export interface Corruption {
  readonly name: string;
  /** What a severity of 1 is. */
  readonly summary: string;
  /** Whether it masks tokens, for which a model needs a mask token. */
  readonly masks: boolean;
  /**
   * Which modalities it can spoil, each by itself or (`[[0, 1]]`) several together.
   * @param specs of the data
   */
  targets(specs: readonly ModalitySpec[]): readonly (readonly number[])[];
  /**
   * @param inputs M × [B, 3, H, W] normalised
   * @param severity above 0, at most 1
   * @param generator draws the same at every severity
   */
  apply(
    inputs: readonly Tensor[],
    severity: number,
    context: {
      specs: readonly ModalitySpec[];
      target: readonly number[];
      generator: torch.Generator;
    },
  ): Corrupted;
}

const NOISE = 0.2;
const SHIFT = 0.1;
const DARKEST = 0.05;
const DARK_NOISE = 0.05;
/** Optical density at the greatest depth, and the light that fog scatters. */
const FOG = { density: 4, light: 0.85 };
/** Holes are about so many pixels across. */
const HOLE = 16;

const indices = (specs: readonly ModalitySpec[], fits: (spec: ModalitySpec) => boolean) =>
  specs.flatMap((spec, m) => (fits(spec) ? [m] : []));
const each = (found: readonly number[]) => found.map((m) => [m]);
const together = (found: readonly number[]) => (found.length === 0 ? [] : [found]);
const isPhotometric = (spec: ModalitySpec) => kindOf(spec).photometric;
const isMeasured = (spec: ModalitySpec) => spec.kind === 'depth';

/** Inputs with those of `target` changed by a function of their values, which are in [0, 1] there. */
function changed(
  inputs: readonly Tensor[],
  specs: readonly ModalitySpec[],
  target: readonly number[],
  change: (values: Tensor, m: number) => Tensor,
): Corrupted {
  return {
    inputs: inputs.map((input, m) => {
      if (!target.includes(m)) return input;
      const { mean, std } = normalisationOf(specs[m]!);
      const perChannel = (list: readonly number[]) =>
        torch
          .tensor([...list], { dtype: input.dtype, device: input.device })
          .reshape([1, -1, 1, 1]);
      const [centre, width] = [perChannel(mean), perChannel(std)];
      return change(input.mul(width).add(centre), m).sub(centre).div(width);
    }),
  };
}

/** [B, 1, H, W] of the default normal distribution: the same for all channels. */
function noiseLike({ shape, device }: Tensor, generator: torch.Generator): Tensor {
  const [batch, , height, width] = shape as [number, number, number, number];
  return torch.randn([batch, 1, height, width], { device, generator });
}

/** [B, 1, H, W] bool: blobs that cover a share of each image. */
function blobs({ shape, device }: Tensor, share: number, generator: torch.Generator): Tensor {
  const [batch, , height, width] = shape as [number, number, number, number];
  const small = [height, width].map((side) => Math.max(2, Math.ceil(side / HOLE)));
  const field = torch.upsampleBilinear2d(
    torch.rand([batch, 1, ...small], { device, generator }),
    [height, width],
    false,
  );
  const rank = Math.max(1, Math.round(share * height * width));
  const cut = field.flatten(1).kthvalue(rank).values;
  return field.le(cut.reshape([-1, 1, 1, 1]));
}

/** Every corruption, in the order in which they are drawn. */
export const corruptions: readonly Corruption[] = [
  {
    name: 'masked-tokens',
    summary: 'every token of the modality is the mask token',
    masks: true,
    targets: (specs) => each(specs.map((_, m) => m)),
    apply: (inputs, severity, { target }) => ({
      inputs: [...inputs],
      masking: { modality: target[0]!, ratio: severity },
    }),
  },
  {
    name: 'depth-noise',
    summary: `noise of a deviation of ${NOISE} of the range`,
    masks: false,
    targets: (specs) => each(indices(specs, isMeasured)),
    apply: (inputs, severity, { specs, target, generator }) =>
      changed(inputs, specs, target, (values) =>
        values.add(noiseLike(values, generator).mul(NOISE * severity)).clamp(0, 1),
      ),
  },
  {
    name: 'depth-holes',
    summary: 'nothing is measured anywhere',
    masks: false,
    targets: (specs) => each(indices(specs, isMeasured)),
    apply: (inputs, severity, { specs, target, generator }) =>
      changed(inputs, specs, target, (values) =>
        values.maskedFill(blobs(values, severity, generator), 0),
      ),
  },
  {
    name: 'misalignment',
    summary: `all but the first modality are ${100 * SHIFT} % of the width to the right`,
    masks: false,
    targets: (specs) => together(indices(specs, (spec) => spec !== specs[0])),
    apply: (inputs, severity, { specs, target }) =>
      changed(inputs, specs, target, (values) => {
        const width = values.shape[3]!;
        const shift = Math.round(SHIFT * severity * width);
        const edge = values.narrow(3, 0, 1).expand([...values.shape.slice(0, 3), shift]);
        return torch.cat([edge, values.narrow(3, 0, width - shift)], 3);
      }),
  },
  {
    name: 'darkness',
    summary: `${100 * DARKEST} % of the light, with noise of a deviation of ${DARK_NOISE}`,
    masks: false,
    targets: (specs) => together(indices(specs, isPhotometric)),
    apply: (inputs, severity, { specs, target, generator }) =>
      changed(inputs, specs, target, (values) => {
        const light = 1 - (1 - DARKEST) * severity;
        const noise = noiseLike(values, generator).mul(DARK_NOISE * severity);
        return values.mul(light).add(noise).clamp(0, 1);
      }),
  },
  {
    name: 'fog',
    summary: `${Math.round(100 * Math.exp(-FOG.density))} % of the light of the farthest comes through`,
    masks: false,
    targets: (specs) => together(indices(specs, isPhotometric)),
    apply: (inputs, severity, { specs, target }) => {
      const measured = specs.findIndex(isMeasured);
      // Without a depth to go by the scene is half as far as it can be.
      const far = measured < 0 ? null : distances(inputs[measured]!, specs[measured]!);
      return changed(inputs, specs, target, (values) => {
        const depth = far ?? torch.full([1, 1, 1, 1], 0.5, { device: values.device });
        const passed = depth.mul(-FOG.density * severity).exp();
        return values.mul(passed).add(passed.neg().add(1).mul(FOG.light));
      });
    },
  },
];

/** [B, 1, H, W] in [0, 1]. */
function distances(input: Tensor, spec: ModalitySpec): Tensor {
  const { mean, std } = normalisationOf(spec);
  return input.narrow(1, 0, 1).mul(std[0]!).add(mean[0]!).clamp(0, 1);
}
