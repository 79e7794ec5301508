import type { ModalitySpec } from '../../data/index.js';
import { backboneNames, createModel, type SegmentationModel } from '../../models/index.js';
import type { Tensor } from '../../torch/index.js';
import type { GoldenFile } from './golden-file.js';
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

/**
 * The Linear Fusion model of a whole state, or where it is of one modality the SegFormer. Classes,
 * modalities, decoder width and mask token are read off the state; no dropout.
 */
export function goldenModel(
  file: GoldenFile,
  state: State,
  facts: { backbone: string; fusionRatio: number; device: string },
): SegmentationModel {
  const backbone = backboneNames.find((name) => name === facts.backbone.replace('_', '-'));
  if (backbone === undefined) {
    throw file.malformed(
      `the backbone is '${facts.backbone}', expected one of ${backboneNames.join(', ')}`,
    );
  }
  const names = Object.keys(state);
  const modalities = names.filter((name) => /^encoder\.norm1\.ln_\d+\.weight$/.test(name)).length;
  const heads = ['decoder.linear_pred.weight', 'decoder.linear_c1.proj.weight'];
  const [classes, width] = heads.map((name) => state[name]?.shape[0]);
  if (modalities < 1 || classes === undefined || width === undefined) {
    throw file.malformed('it holds no state of a Linear Fusion model');
  }
  const shape = { backbone, numClasses: classes, decoderWidth: width, dropPath: 0, dropout: 0 };
  const model =
    modalities === 1
      ? createModel({ name: 'segformer', ...shape })
      : createModel({
          name: 'linear-fusion',
          ...shape,
          modalities,
          maskToken: names.includes('encoder.patch_embed1.mask_token'),
          fusionRatio: facts.fusionRatio,
          ensemble: 'all',
        });
  try {
    const { missing, unexpected } = model.loadStateDict(state, { strict: false });
    const foreign = [...missing, ...unexpected].filter((name) => !isUnused(name));
    if (foreign.length > 0) {
      throw file.malformed(
        `its state is not that of a ${backbone} ${modalities === 1 ? 'SegFormer' : 'Linear Fusion'} model: ` +
          `${foreign.slice(0, 5).join(', ')}${foreign.length > 5 ? ', …' : ''} ` +
          'missing or unexpected',
      );
    }
    return model.to({ device: facts.device });
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
