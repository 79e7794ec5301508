import type { ModalitySpec } from '../../data/index.js';
import {
  type ModelInput,
  type ModelName,
  modelNamed,
  type SegmentationModel,
} from '../../models/index.js';
import type { Tensor } from '../../torch/index.js';
import { type GoldenFile, UnsupportedError } from './golden-file.js';
import { stateByRule } from './weights-by-rule.js';

/** Present in the authors' checkpoints, never used (m3l.md section 4). */
const UNUSED = /(^|\.)patch_embed[2-9]\.mask_token$|\.num_batches_tracked$/;

export function isUnused(name: string): boolean {
  return UNUSED.test(name);
}

/** A model's values by name. */
export type State = Readonly<Record<string, Tensor>>;

/** The state that the file holds under `prefix`, or gives by rule. */
export function goldenState(file: GoldenFile, prefix: string): State {
  const found = file.under(prefix);
  return (
    stateByRule(file) ?? Object.fromEntries(found.map((name) => [name, file.tensor(prefix + name)]))
  );
}

/** Where a state of a model says how it was made: what there is once for each modality, and by class. */
const MARKS: Partial<Record<ModelName, { modality: RegExp; classes: string }>> = {
  'linear-fusion': {
    modality: /^encoder\.norm1\.ln_\d+\.weight$/,
    classes: 'decoder.linear_pred.weight',
  },
  'token-fusion': {
    modality: /^encoder\.norm1\.ln_\d+\.weight$/,
    classes: 'decoder.linear_pred.weight',
  },
  segformer: {
    modality: /^encoder\.norm1\.ln_\d+\.weight$/,
    classes: 'decoder.linear_pred.weight',
  },
  'unified-representation': {
    modality: /^encoder\d+\.norm1\.ln_0\.weight$/,
    classes: 'decoder.linear_pred.weight',
  },
  'channel-exchange': {
    modality: /^model\.bn1\.bn_\d+\.weight$/,
    classes: 'model.clf_conv.module.weight',
  },
  refinenet: { modality: /^model\.bn1\.bn_\d+\.weight$/, classes: 'model.clf_conv.module.weight' },
  deeplabv3plus: { modality: /^classifier\.weight$/, classes: 'classifier.weight' },
};

/** What the metadata say of a model. */
export interface GoldenModelFacts {
  /** As the registry names it. */
  model: string;
  /** As files name it: `mit_b0`. */
  backbone: string;
  /** Options of the model's own, by our names. */
  options?: Readonly<Record<string, unknown>>;
  device: string;
}

/** How many modalities the state of a model is for; 0 where it is of another. */
export function countModalities(state: State, model: string): number {
  const mark = MARKS[model as ModelName];
  return Object.keys(state).filter((name) => mark?.modality.test(name)).length;
}

/**
 * The model of a whole state. Classes, modalities, decoder width and mask token are read off the
 * state; no dropout.
 */
export function goldenModel(
  file: GoldenFile,
  state: State,
  { model: name, backbone: written, options, device }: GoldenModelFacts,
): SegmentationModel {
  const mark = MARKS[name as ModelName];
  if (mark === undefined) throw new UnsupportedError(`the model '${name}'`);
  const backbone = written.replace('_', '-');
  const modalities = countModalities(state, name);
  const [classes, decoderWidth] = [mark.classes, 'decoder.linear_c1.proj.weight'].map(
    (each) => state[each]?.shape[0],
  );
  if (modalities === 0 || classes === undefined) {
    throw file.malformed(`it holds no state of a ${name} model`);
  }
  const descriptor = modelNamed(name);
  const known = descriptor.options.safeParse({ backbone });
  if (!known.success) {
    throw file.malformed(`the backbone is '${written}': ${known.error.issues[0]!.message}`);
  }
  const all = Object.keys(state);
  const model = descriptor.create({
    backbone,
    numClasses: classes,
    modalities,
    maskToken: all.includes('encoder.patch_embed1.mask_token'),
    ensemble: 'all',
    dropPath: 0,
    dropout: 0,
    ...(decoderWidth !== undefined && { decoderWidth }),
    ...options,
  } as ModelInput);
  try {
    const { missing, unexpected } = model.loadStateDict(state, { strict: false });
    const foreign = [...missing, ...unexpected].filter((each) => !isUnused(each));
    if (foreign.length > 0) {
      throw file.malformed(
        `its state is not that of a ${backbone} ${name} model: ` +
          `${foreign.slice(0, 5).join(', ')}${foreign.length > 5 ? ', …' : ''} ` +
          'missing or unexpected',
      );
    }
    return model.to({ device });
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** Modalities in the model's order: rgb, depth, then any others as the file has them. */
export function modalitySpecs(
  file: GoldenFile,
  prefix: string,
  modalities: number,
): ModalitySpec[] {
  const found = file
    .under(prefix)
    .filter((name) => /^\w+$/.test(name) && name !== 'labels' && !name.startsWith('unlabelled_'));
  const rank = (name: string) => ['rgb', 'depth', name].indexOf(name);
  const names = found.sort((a, b) => rank(a) - rank(b));
  if (names.length !== modalities) {
    throw file.malformed(
      `the inputs are ${names.map((name) => prefix + name).join(', ') || 'missing'}, ` +
        `expected ${modalities} for a model of ${modalities} modalities`,
    );
  }
  return names.map((name) => ({ name, kind: name === 'rgb' ? 'rgb' : 'depth' }));
}

/** A model's parameters by name, with `pick` of each, flat; zeros where there is none. */
export function flatByName(
  model: SegmentationModel,
  pick: (parameter: Tensor) => Tensor | null,
): Map<string, Tensor> {
  return new Map(
    model
      .namedParameters()
      .map(([name, parameter]) => [
        name,
        (pick(parameter) ?? parameter.zerosLike()).detach().flatten(),
      ]),
  );
}
