import type { Networks } from '../../learning/index.js';
import type { SegmentationModel } from '../../models/index.js';
import type { StateDict } from '../../nn/index.js';
import { checkArguments } from '../../torch/check-arguments.js';
import * as torch from '../../torch/index.js';
import * as is from '../../torch/rules.js';
import { saveCheckpoint } from '../checkpoint.js';
import { classNames } from '../classes.js';
import type { Config } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import { createNetworks, disposeNetworks, prepareTorch } from '../networks.js';
import { configShape, runFolderShape } from '../rules.js';
import type { RunFolder } from '../run-folder.js';
import { settle } from '../settle.js';
import { readWeights, type WeightsFile } from './read.js';
import { formatOf, weightsFor } from './registry.js';

/** What was made of a file; plain JSON. */
export interface ImportedWeights {
  run: string;
  file: string;
  format: string;
  /** Which of the file's networks each of the run's has; null: the one that there is. */
  networks: Record<string, string | null>;
}

/**
 * Makes a run of others' weights, as a training of no iterations would have left it: to be evaluated, to
 * predict with, to export or to start trainings from (`initialise`). Each network of the configured framework
 * has that of its name, or where the file has one alone, that.
 *
 * @param config of the model and the data that the weights are for
 * @param note is told what takes long
 * @throws CheckpointError M3L_PRETRAINED where a name is missing, unexpected or of another shape: before
 *   anything is written
 */
export async function importWeights(
  file: string,
  config: Config,
  run: RunFolder,
  note: (text: string) => void = () => {},
): Promise<ImportedWeights> {
  checkArguments(
    'importWeights',
    { file, config, run, note },
    { file: is.text, config: configShape, run: runFolderShape, note: is.callback },
  );

  const { config: settled } = await settle(config, note);
  const placed = prepareTorch(settled, note);
  const { networks, format, chosen } = loadWeightsOfOthers(file, placed);
  try {
    return torch.scope(() => {
      const tensors = Object.fromEntries(
        Object.entries(networks).flatMap(([name, network]) =>
          Object.entries(network.stateDict()).map(([key, tensor]) => [`${name}.${key}`, tensor]),
        ),
      );
      run.begin(settled);
      saveCheckpoint(
        run.checkpoints,
        { iteration: 0, config: placed, tensors, meta: null, score: null },
        { keep: 1 },
      );
      return { run: run.path, file, format, networks: chosen };
    });
  } finally {
    disposeNetworks(networks);
  }
}

/**
 * The networks of a configured framework, with others' weights: each that of its name, or where the file has
 * one alone, that.
 *
 * @throws CheckpointError M3L_PRETRAINED
 */
export function loadWeightsOfOthers(
  file: string,
  config: Config,
): { networks: Networks; format: string; chosen: Record<string, string | null> } {
  const bare = { ...config, initialise: undefined };
  const networks = createNetworks(
    { ...bare, model: { ...config.model, pretrained: undefined } },
    classNames(config).length,
  );
  try {
    return torch.scope(() => {
      const read = readWeights(file);
      const format = formatOf(read);
      const known = format.networks?.(read) ?? [];
      const kinds = Object.values(config.data.modalities).map(({ kind }) => kind);
      const chosen: Record<string, string | null> = {};
      for (const [name, made] of Object.entries(networks)) {
        const network = known.includes(name) ? name : onlyOf(known, name, read);
        fill(made, weightsFor(read, made, { kinds, network }), read);
        chosen[name] = network ?? null;
      }
      return { networks, format: format.name, chosen };
    });
  } catch (error) {
    disposeNetworks(networks);
    throw error;
  }
}

/** The one network that a file has, for whichever is wanted. */
function onlyOf(
  known: readonly string[],
  wanted: string,
  { path }: WeightsFile,
): string | undefined {
  if (known.length <= 1) return known[0];
  throw new CheckpointError(
    'M3L_PRETRAINED',
    `${path}: found the networks ${known.join(', ')}, expected '${wanted}', which the framework has. ` +
      'Choose another with --set framework.name=…, or write one of them by m3l weights convert --network.',
  );
}

/** Names that weights of others need not have: counters, and what our ensemble remembers. */
const SPARE = /(^|\.)(num_batches_tracked|head_shares)$/;

function fill(model: SegmentationModel, given: StateDict, { path }: WeightsFile): void {
  const wanted = model.stateDict();
  const missing = Object.keys(wanted).filter((name) => !(name in given) && !SPARE.test(name));
  const unexpected = Object.keys(given).filter((name) => !(name in wanted) && !SPARE.test(name));
  const misshapen = Object.keys(given).filter(
    (name) => wanted[name] && String(wanted[name].shape) !== String(given[name]!.shape),
  );
  const problems = [
    ...listed('missing', missing),
    ...listed('unexpected', unexpected),
    ...misshapen
      .slice(0, 3)
      .map((name) => `${name} is [${given[name]!.shape}], not [${wanted[name]!.shape}]`),
  ];
  if (problems.length > 0) {
    throw new CheckpointError(
      'M3L_PRETRAINED',
      `${path} is not of the configured model: ${problems.join('; ')}. See m3l weights inspect.`,
    );
  }
  model.loadStateDict(given, { strict: false });
}

function listed(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  return [`${names.length} ${what} (${names.slice(0, 3).join(', ')})`];
}
