import { applyLabelRule, labelRule, readRawLabels, type Sample } from '../data/index.js';
import { classWeightsOf } from '../learning/index.js';
import { classNames } from './classes.js';
import type { Config } from './config/config.js';
import type { Choice } from './config/follow-data.js';
import { openSources, spread } from './datasets.js';

/** Labels that are counted, spread over the list. */
const COUNTED = 1000;

/**
 * Replaces a rule for the weights of classes (`framework.classWeights`) by the weights that it gives for the
 * labelled training images. Nothing is read where there is none.
 *
 * @throws DataError of a list or a label; the signal's reason
 */
export async function weighClasses<Kind extends Config>(
  config: Kind,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<{ config: Kind; chosen: Choice[] }> {
  const { classWeights: weighting } = config.framework;
  if (typeof weighting !== 'string') return { config, chosen: [] };
  const { labelled } = await openSources(config);
  const samples = spread(labelled, COUNTED);
  const value = classWeightsOf(await countPixels(config, samples, signal), weighting);
  const why = `${weighting} of ${samples.length} labelled images`;
  return {
    config: { ...config, framework: { ...config.framework, classWeights: value } },
    chosen: [{ key: 'framework.classWeights', value, why }],
  };
}

/** Labelled pixels of each class. */
async function countPixels(
  config: Config,
  samples: readonly Sample[],
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const names = classNames(config);
  const { labelOffset, labels } = config.data;
  const rule = labelRule({ numClasses: names.length, labelOffset, labels, classNames: names });
  const counts = new Array<number>(256).fill(0);
  for (const { label } of samples) {
    signal?.throwIfAborted();
    const { data } = applyLabelRule(await readRawLabels(label!, rule), rule);
    for (const value of data) counts[value]!++;
  }
  return counts.slice(0, names.length);
}
