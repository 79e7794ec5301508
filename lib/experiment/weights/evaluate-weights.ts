import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import type { Config } from '../config/config.js';
import { type EvaluateRunOptions, type EvaluationReport, evaluateLoaded } from '../evaluate.js';
import { configShape } from '../rules.js';
import { settle } from '../settle.js';
import { loadWeightsOfOthers } from './import-run.js';

/** What `evaluateWeights` takes by name: as of a run, but for what only runs have. */
export type EvaluateWeightsOptions = Omit<EvaluateRunOptions, 'checkpoint' | 'sets'>;

/**
 * Robust mIoU of others' weights, on the data and by the model of a configuration.
 *
 * @throws CheckpointError M3L_PRETRAINED where they are not of that model; EvaluationError
 *   M3L_MISSING_MODALITY
 */
export async function evaluateWeights(
  file: string,
  config: Config,
  options: EvaluateWeightsOptions = {},
): Promise<EvaluationReport> {
  checkArguments(
    'evaluateWeights',
    { file, config, options },
    { file: is.text, config: configShape, options: is.record },
  );

  const { config: settled } = await settle(config, options.onNote);
  return evaluateLoaded(settled, options, {
    asked: true,
    place: () => file,
    load: (path, asked) => ({ networks: loadWeightsOfOthers(path, asked).networks, iteration: 0 }),
  });
}
