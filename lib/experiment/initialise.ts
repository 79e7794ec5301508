import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { frameworkNamed } from '../learning/index.js';
import type { SegmentationModel } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { findCheckpoint, isCheckpoint, loadCheckpoint } from './checkpoint.js';
import { classNames } from './classes.js';
import type { Config } from './config/config.js';
import { CheckpointError } from './errors.js';

/** So many fresh tensors are named. */
const SHOWN = 6;

/**
 * Starts a model from the weights that `initialise` names: of a run's latest checkpoint, or of the
 * checkpoint itself, those of the network of that name that is trained there too, or else of its headline network.
 * What the model has and the weights have not (a mask token), and classifiers of another number of classes,
 * stay fresh, and are told. So does all but the encoder of a network that would be the same as another
 * that is trained: two that are to teach each other must differ.
 *
 * @param network name of the model
 * @throws CheckpointError M3L_INITIALISE, M3L_CHECKPOINT_READ
 */
export function initialise(
  model: SegmentationModel,
  network: string,
  config: Config,
  note: (text: string) => void,
): void {
  if (config.initialise === undefined) return;
  const path = checkpointIn(config.initialise);
  torch.scope(() => {
    const { config: theirs, tensors } = loadCheckpoint(path, { modelOnly: true });
    checkFits(path, theirs, config);
    const weights = weightsFor(network, tensors, theirs, config);
    const fresh: string[] = [];
    for (const [name, { shape }] of Object.entries(model.stateDict())) {
      const found = weights[name]?.shape;
      if (found?.join() === shape.join()) continue;
      if (found !== undefined && !differInClasses(found, shape, theirs, config)) {
        throw unfit(path, [`${name} is [${found}] there, [${shape}] is wanted`]);
      }
      fresh.push(name);
      delete weights[name];
    }
    model.loadStateDict(weights, { strict: false });
    const more = fresh.length > SHOWN ? ` and ${fresh.length - SHOWN} more` : '';
    const left = fresh.length === 0 ? '' : `; fresh are ${fresh.slice(0, SHOWN).join(', ')}${more}`;
    note(`Starts from the weights of ${path}${left}.`);
  });
}

function checkpointIn(folder: string): string {
  if (isCheckpoint(folder)) return folder;
  const found = findCheckpoint(join(folder, 'checkpoints'), 'latest');
  if (found !== null) return found;
  throw new CheckpointError(
    'M3L_INITIALISE',
    `initialise: ${folder} ${existsSync(folder) ? 'holds no checkpoint' : 'does not exist'}; expected a run folder or one of its checkpoints.`,
  );
}

function weightsFor(
  network: string,
  tensors: Record<string, Tensor>,
  theirs: Config,
  ours: Config,
) {
  const { headline, trainable } = frameworkNamed(theirs.framework.name);
  const { trainable: wanted } = frameworkNamed(ours.framework.name);
  const own = wanted.length > 1 && trainable.includes(network);
  const prefix = `${own ? network : headline}.`;
  const part = own || network === wanted[0] ? prefix : `${prefix}encoder.`;
  return Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(part))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );
}

function differInClasses(
  found: readonly number[],
  own: readonly number[],
  theirs: Config,
  ours: Config,
): boolean {
  const [there, here] = [classNames(theirs).length, classNames(ours).length];
  return (
    found.length === own.length &&
    found.every((size, i) => size === own[i] || (size === there && own[i] === here))
  );
}

function checkFits(path: string, theirs: Config, ours: Config): void {
  const facts = ({ model, data }: Config) => ({
    'model.name': model.name,
    'model.backbone': model.backbone,
    'data.modalities': Object.keys(data.modalities).join(', '),
  });
  const wanted = Object.entries(facts(ours));
  const found = Object.values(facts(theirs));
  const differences = wanted.flatMap(([key, value], index) =>
    value === found[index] ? [] : [`${key} is ${found[index]} there, ${value} is wanted`],
  );
  if (differences.length > 0) throw unfit(path, differences);
}

function unfit(path: string, differences: readonly string[]): CheckpointError {
  return new CheckpointError(
    'M3L_INITIALISE',
    `initialise: ${path} is of another model: ${differences.join('; ')}. Make the model the same, or start without it.`,
  );
}
