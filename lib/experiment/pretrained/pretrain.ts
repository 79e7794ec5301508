import { join } from 'node:path';
import { checkArguments } from '../../torch/check-arguments.js';
import { Interrupted } from '../errors.js';
import { fromFirst } from '../processes.js';
import { pretrainOptionsShape } from '../rules.js';
import { type TrainOptions, type TrainSummary, train } from '../train.js';
import { requireReplaceable, type WeightsPackage, writeWeightsPackage } from './weights-package.js';

/** What `pretrain` takes by name. */
export interface PretrainOptions extends TrainOptions {
  /** Folder of the package. Default: `package` in the run's. */
  export?: string | undefined;
}

/** What a pretraining came to. */
export interface PretrainSummary extends TrainSummary {
  weights: WeightsPackage;
}

/**
 * Trains as `train` does, and writes what others start from: the encoder, as a package.
 *
 * @throws Interrupted as `train`; RunError M3L_EXPORT_FOLDER; errors of `train`
 */
export async function pretrain(options: PretrainOptions): Promise<PretrainSummary> {
  checkArguments('pretrain', { options }, { options: pretrainOptionsShape });

  const { run } = options;
  const folder = options.export ?? join(run.path, 'package');
  requireReplaceable(folder);
  try {
    const summary = await train(options);
    const group = options.group ?? null;
    const weights = await fromFirst(group, () => writeWeightsPackage(run, folder));
    return { ...summary, weights };
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    const { iteration } = error;
    const to = options.export === undefined ? '' : ` --export ${options.export}`;
    throw new Interrupted(run.path, iteration, `m3l pretrain --resume ${run.path}${to}`);
  }
}
