import type { z } from 'zod';
import { type Batch, type ModalitySpec, mixSeed } from '../data/index.js';
import { batchShape } from '../data/rules.js';
import type { Masks, Prediction, SegmentationModel } from '../models/index.js';
import { fillMasked } from '../models/missing-modalities/fill.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import type { EmaTeacher } from './ema.js';
import { LearningError } from './errors.js';
import { minKeptPixels, type OhemOptions, pseudoWeight } from './losses.js';
import type { MaskDraw } from './masking.js';
import { type LearningOptions, scheduledConfidence } from './options.js';
import { ownOf, type Peers } from './peers.js';
import { drawBoxes } from './student-view.js';

/** What one training step learns from. */
export interface TrainingBatch {
  labelled: Batch;
  unlabelled?: Batch;
}

/** What a step of a framework comes to. */
export interface StepLosses {
  /** Scalar to differentiate. */
  total: Tensor;
  /** What it is made of, and what is only reported; scalars. */
  parts: Record<string, Tensor>;
  /** What there is to watch beside: scalars, and [K] by class. */
  health?: Record<string, Tensor>;
}

/** In what the computation of one iteration differs from another's, its batch aside. */
export interface StepDraw<Sampled = readonly number[], Weight = number> {
  /** Per student sample the modality it loses, −1 for none. */
  readonly masked: Sampled;
  /** The same of the teacher's samples; null where there is no teacher, or it always sees all. */
  readonly teacherMasked: Sampled | null;
  /** λ of the iteration. */
  readonly pseudoWeight: Weight;
  /** The least probability of a pseudo label, where it follows a schedule; else null or absent. */
  readonly confidence?: Weight | null;
  /** Boxes of CutMix of the student's unlabelled images, as `drawBoxes` gives them; none: []. */
  readonly boxes: Sampled;
  /** Seeds which tokens a part-masked modality loses; null where the losses must not need it. */
  readonly tokenSeed: number | null;
  /**
   * Seeds the colours of a batch that several processes share, of which each takes those of its images;
   * absent or null: they come from the default generator.
   */
  readonly colourSeed?: number | null;
}

/** A draw of which some is on the device: a captured graph reads it anew at every replay. */
export type AnyDraw = StepDraw<readonly number[] | Tensor, number | Tensor>;

/** Models of one architecture by name, in the order in which they are made and saved. */
export type Networks<Network extends string = string> = Readonly<
  Record<Network, SegmentationModel>
>;

/** The training step of a framework. */
export interface FrameworkSteps {
  /** What follows a trained network's average, and moves with the optimiser; null where none does. */
  readonly teacher: EmaTeacher | null;
  /** Tensors that its losses move, which a checkpoint keeps beside the networks. */
  readonly state?: Readonly<Record<string, Tensor>>;
  /** What `iteration` determines, and the sizes of the batch. */
  draw(batch: TrainingBatch, iteration: number): StepDraw;
  /** The forward half of a training step: a function of batch, draw, weights and generator. */
  losses(batch: TrainingBatch, draw: AnyDraw): StepLosses;
}

/** A way to learn: owns its networks, and turns a batch into losses. */
export interface Framework extends FrameworkSteps {
  readonly name: string;
  readonly networks: Networks;
  /** Names of those that the optimiser trains. */
  readonly trainable: readonly string[];
  /** Name of the one whose predictions count. */
  readonly headline: string;
  /** Whether samples lose modalities. */
  readonly masksModalities: boolean;
  readonly options: LearningOptions;
}

/** All that the rest of the system knows of a framework. Its file exports one, the registry lists it. */
export interface FrameworkDescriptor<
  Name extends string = string,
  Network extends string = string,
  Own extends object = object,
> {
  readonly name: Name;
  /** One line. */
  readonly summary: string;
  /** The networks it needs, in the order in which they are made and saved. */
  readonly networks: readonly Network[];
  /** Those of them that the optimiser trains, and that pretrained weights go to. */
  readonly trainable: readonly Network[];
  /** The one of them whose predictions count. */
  readonly headline: Network;
  /** Whether it learns from unlabelled images too. */
  readonly needsUnlabelled: boolean;
  /** Whether samples lose modalities while it trains; then there must be two or more. */
  readonly masksModalities: boolean;
  /** Options of its own beside `LearningOptions`, with their defaults. */
  readonly options?: z.ZodObject;
  /** Defaults of these that differ under `fidelity: paper`. */
  readonly paperOptions?: Readonly<Record<string, unknown>>;
  create(context: FrameworkContext<Network, Own>): FrameworkSteps;
}

/** A descriptor with its name, networks and options as types. */
export function defineFramework<
  const Name extends string,
  const Network extends string,
  Shape extends z.ZodRawShape = Record<never, never>,
>(
  descriptor: FrameworkDescriptor<Name, Network, z.output<z.ZodObject<Shape>>> & {
    readonly options?: z.ZodObject<Shape>;
  },
): FrameworkDescriptor<Name, Network, z.output<z.ZodObject<Shape>>> {
  checkArguments(
    'defineFramework',
    { descriptor },
    { descriptor: is.shape('options', { create: is.callback }) },
  );

  return descriptor;
}

/** What a framework's step is made from. */
export interface FrameworkContext<Network extends string = string, Own extends object = object> {
  /** The framework's. */
  name: string;
  networks: Networks<Network>;
  modalities: readonly ModalitySpec[];
  options: LearningOptions & Own;
  masks: MaskDraw;
  /** Draws for a teacher, independent of `masks`. */
  teacherMasks: MaskDraw;
  seed: number;
  /** Of the whole training. */
  iterations: number;
  /** With whom each batch is shared. */
  peers: Peers;
  /** With whom the losses are: the same, or nobody where each process has its own (`lossOver`). */
  lossPeers: Peers;
}

/** How many samples a batch has. */
export function sizeOf({ modalities: [first] }: Batch): number {
  return first!.shape[0]!;
}

/** Several batches as one, in order. */
export interface Joined {
  /** M × [B, 3, H, W] */
  modalities: Tensor[];
  /** [B, H, W] bool, false where padded; null: nowhere. */
  valid: Tensor | null;
  size: number;
  /** Rows of each of the batches. */
  counts: readonly number[];
}

/** Batches one after the other, as one. */
export function joinBatches(...batches: Batch[]): Joined {
  checkArguments('joinBatches', { batches }, { batches: is.filled(is.listOf(batchShape)) });

  const modalities = batches[0]!.modalities.map((_, m) =>
    torch.cat(batches.map((batch) => batch.modalities[m]!)),
  );
  const valid = batches.every((batch) => batch.valid === null)
    ? null
    : torch.cat(batches.map((batch) => batch.valid ?? validEverywhere(batch)));
  return { modalities, valid, size: modalities[0]!.shape[0]!, counts: batches.map(sizeOf) };
}

function validEverywhere({ modalities: [first] }: Batch): Tensor {
  const [batch, , height, width] = first!.shape as [number, number, number, number];
  return torch.ones([batch, height, width], { dtype: 'bool', device: first!.device });
}

/**
 * Predictions with modality `masked[b]` of sample b missing, by mask token or else by fill; at the
 * resolution of the model's head, which is what the losses take.
 */
export function forward(
  context: FrameworkContext,
  model: SegmentationModel,
  modalities: Tensor[],
  masked: Masks,
  tokenSeed: number | null,
): Prediction {
  const upsample = false;
  const onHost = !(masked instanceof torch.Tensor);
  if (onHost && masked.every((lost) => lost < 0)) return model.forward(modalities, { upsample });
  const { options } = context;
  const { maskingRatio } = options;
  const generator = () =>
    tokenSeed === null
      ? undefined
      : new torch.Generator(modalities[0]!.device).manualSeed(tokenSeed);
  if (!model.hasMaskToken) {
    const drawn = options.fill === 'noise' ? generator() : undefined;
    const filled = fillMasked(modalities, masked, context.modalities, options.fill, drawn);
    return model.forward(filled, { filled: masked, upsample });
  }
  if (maskingRatio === 1) return model.forward(modalities, { masked, upsample });
  return model.forward(modalities, { masked, maskingRatio, generator: generator(), upsample });
}

/** The draw of an iteration whose samples are masked like this, its last `mixed` images with boxes. */
export function drawOf(
  { options, seed, peers }: FrameworkContext,
  iteration: number,
  masked: readonly number[],
  {
    teacherMasked = null,
    mixed = 0,
  }: { teacherMasked?: readonly number[] | null; mixed?: number } = {},
): StepDraw {
  const { cutMix } = options;
  const boxes = ownOf(peers, [mixed], (count) => boxesOf({ cutMix, seed }, iteration, count));
  // Of several processes each draws for its own samples what is drawn by the token.
  const apart = peers.rank > 0 ? [peers.rank] : [];
  return {
    masked,
    teacherMasked,
    boxes: boxes.flat(),
    pseudoWeight: pseudoWeight(options, iteration),
    confidence: scheduledConfidence(options, iteration),
    tokenSeed: mixSeed(seed, iteration, 0x746f6b, ...apart),
    colourSeed: peers.worldSize > 1 ? mixSeed(seed, iteration) : null,
  };
}

/** By image; of a draw without boxes nothing for each. */
function boxesOf(options: { cutMix: number; seed: number }, iteration: number, count: number) {
  const numbers = drawBoxes(options, iteration, count);
  const each = numbers.length / Math.max(count, 1);
  return Array.from({ length: count }, (_, i) => numbers.slice(i * each, (i + 1) * each));
}

/** What each of a process's samples of these kinds loses, by their places in the whole batch. */
export function ownMasks(
  { peers }: FrameworkContext,
  masks: MaskDraw,
  iteration: number,
  counts: readonly number[],
): number[] {
  return ownOf(peers, counts, (count) => masks(iteration, count));
}

/** How the supervised loss of a step on `labels` [L, H, W] counts pixels. */
export function ohemOptions({ options, lossPeers }: FrameworkContext, labels: Tensor): OhemOptions {
  const { classWeights, focal } = options;
  const { threshold, minKeptFraction, minKept } = options.ohem;
  return {
    threshold,
    minKept: minKept ?? minKeptPixels(labels, minKeptFraction) * lossPeers.worldSize,
    // `createFramework` has refused words.
    classWeights: (classWeights as readonly number[] | null) ?? undefined,
    focal,
    peers: lossPeers,
  };
}

export function labelsOf(batch: Batch): Tensor {
  if (batch.labels) return batch.labels;
  throw new LearningError(
    'M3L_NO_LABELS',
    `the labelled batch (${batch.names.join(', ')}) has no labels. Give a list with a label column.`,
  );
}

export function unlabelledOf(batch: TrainingBatch, { name }: FrameworkContext): Batch {
  if (batch.unlabelled) return batch.unlabelled;
  throw new LearningError(
    'M3L_NO_UNLABELLED',
    `${name} learns from unlabelled images too, and the batch has none. ` +
      'Give a list of unlabelled images, or choose a supervised framework.',
  );
}
