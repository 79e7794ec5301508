import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { fromEncoder, loadPretrained, type SegmentationModel } from '../../models/index.js';
import type { StateDict } from '../../nn/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import type { Config } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import { nearest } from '../nearest.js';
import { readWeights, type WeightsFile } from '../weights/read.js';
import { weightsFor } from '../weights/registry.js';
import { encoderFacts } from './encoder-file.js';
import { findWeights } from './find-weights.js';

/**
 * Gives a model the encoder that `model.pretrained` names, if any, and of a file with a head also that
 * where it fits. Of whose making the file is, its tensors say (weights/registry.ts).
 *
 * @param note is told where the weights come from
 * @throws CheckpointError M3L_PRETRAINED_MISSING, M3L_PRETRAINED; errors of the file and of its adapter
 */
export function loadEncoder(
  model: SegmentationModel,
  config: Config,
  note: (text: string) => void,
): void {
  const { pretrained = 'none', backbone } = config.model;
  if (pretrained === 'none') return;
  const file = pretrained === 'rooms' ? findWeights('rooms', String(backbone)) : pretrained;
  requireFile(file);
  torch.scope(() => {
    const shared = adapted(file, model, config);
    const [weights, left] = fitting(model.ownEncoder?.(shared) ?? shared, model);
    if (Object.keys(weights).length === 0) {
      throw new CheckpointError(
        'M3L_PRETRAINED',
        `${file} has nothing that a ${config.model.name} of ${backbone} has a place for. ` +
          'See m3l weights inspect, and choose the model and backbone that it was made for.',
      );
    }
    const missing = loadPretrained(model, weights);
    // An encoder alone goes without saying.
    const hasMore = Object.keys(weights).some((name) => !name.startsWith('encoder'));
    const lacking = hasMore ? told('Not in it', missing) : '';
    note(`Starts from the encoder of ${file}.${told('Not taken', left)}${lacking}`);
  });
}

/** ` Not taken: decoder.linear_pred.weight and 1 more.`; nothing where there is none. */
function told(what: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const others = names.length > 1 ? ` and ${names.length - 1} more` : '';
  return ` ${what}: ${names[0]}${others}.`;
}

/** A word that is not one of them is taken for a file. */
function requireFile(file: string): void {
  if (existsSync(file)) return;
  const near = nearest(basename(file), ['rooms', 'none']);
  const hint = near === null ? '' : ` Did you mean '${near}'?`;
  throw new CheckpointError(
    'M3L_PRETRAINED_MISSING',
    `model.pretrained: ${file} does not exist; expected a file of weights (safetensors, .pth), 'rooms' or 'none'.${hint}`,
  );
}

/** The weights by our names, for the configured modalities and backbone. */
function adapted(file: string, model: SegmentationModel, config: Config): StateDict {
  const read = readWeights(file);
  requireBackbone(read, config);
  const kinds = Object.values(config.data.modalities).map(({ kind }) => kind);
  return forModalities(weightsFor(read, model, { kinds }), kinds);
}

/** An encoder of ours says what it is; of the others the shapes do. */
function requireBackbone({ path, metadata }: WeightsFile, config: Config): void {
  const facts = encoderFacts(path, metadata);
  const { backbone } = config.model;
  if (facts === null || facts.backbone === backbone) return;
  throw new CheckpointError(
    'M3L_PRETRAINED',
    `${path} is an encoder of ${facts.backbone}, model.backbone is ${backbone}. ` +
      `Use --set model.backbone=${facts.backbone}, or another file.`,
  );
}

/** Norms for as many modalities as there are: of a whole model's, RGB and depth as in the paper. */
function forModalities(state: StateDict, kinds: readonly string[]): StateDict {
  const indices = Object.keys(state).flatMap((name) => /\.ln_(\d+)\./.exec(name)?.[1] ?? []);
  const count = new Set(indices).size;
  if (count === 0 || count === kinds.length) return state;
  const trained = ['rgb', 'depth', ...Array<string>(count).fill('')].slice(0, count);
  return fromEncoder(state, { trained, wanted: kinds });
}

/**
 * What of the weights the model has a place for: not a head of other classes, say, nor α of as many
 * modalities as there are not.
 */
function fitting(state: StateDict, model: SegmentationModel): [fits: StateDict, left: string[]] {
  const shapes = new Map(
    [...model.namedParameters(), ...model.namedBuffers()].map(([name, { shape }]) => [name, shape]),
  );
  const isFit = (name: string, tensor: Tensor) =>
    name.startsWith('encoder') || String(shapes.get(name)) === String(tensor.shape);
  const all = Object.entries(state);
  const fits = all.filter(([name, tensor]) => isFit(name, tensor));
  const left = all.filter(([name, tensor]) => !isFit(name, tensor)).map(([name]) => name);
  return [Object.fromEntries(fits), left];
}
