import type { z } from 'zod';
import { checkArguments } from '../torch/check-arguments.js';
import type * as torch from '../torch/index.js';
import { modelDescriptorShape } from './rules.js';
import type { SegmentationModel } from './segmentation-model.js';

/** What every model is made from, whichever options of its own it takes besides. */
export interface ModelInput {
  /** K */
  numClasses: number;
  /** M */
  modalities?: number;
  /** Learn a token that stands for a missing modality, where the model can. */
  maskToken?: boolean;
  freezeBatchNorm?: boolean;
  /** Where initial values come from; the default generator otherwise. */
  generator?: torch.Generator;
}

/** All that the rest of the system knows of a model. Its file exports one, `registry.ts` lists it. */
export interface ModelDescriptor<
  Name extends string = string,
  Input extends ModelInput = ModelInput,
> {
  readonly name: Name;
  /** One line. */
  readonly summary: string;
  /** How many modalities it takes. */
  readonly modalities: { readonly least: number; readonly most: number };
  /** The least height and the least width of images that it takes. */
  readonly leastSide: number;
  /** Whether it can learn a token that stands for a missing modality. */
  readonly maskToken: boolean;
  /**
   * What `framework.freezeBatchNorm` is where it is not written; absent: as the framework has it. A
   * network that needs the statistics of its batches to be trained from scratch says false.
   */
  readonly freezeBatchNorm?: boolean;
  /** The options of its own that a configuration may set, with their defaults. */
  readonly options: z.ZodObject;
  /** Defaults of these that differ under `fidelity: paper`. */
  readonly paperOptions?: Readonly<Record<string, unknown>>;
  /** A model with values from scratch. Options that are absent have their defaults. */
  create(input: Input): SegmentationModel;
}

/** A descriptor with its name and input as types, so that `createModel` can check them. */
export function defineModel<const Name extends string, Input extends ModelInput>(
  descriptor: ModelDescriptor<Name, Input>,
): ModelDescriptor<Name, Input> {
  checkArguments('defineModel', { descriptor }, { descriptor: modelDescriptorShape });

  return descriptor;
}
