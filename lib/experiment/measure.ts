import { availableParallelism } from 'node:os';
import { KINDS, measureNormalisation, type Sample, withoutLabels } from '../data/index.js';
import type { Config } from './config/config.js';
import type { Choice } from './config/follow-data.js';
import { openSources, spread } from './datasets.js';
import { specsOf } from './networks.js';

/** Images of each training list that are measured, spread over it. */
const MEASURED = 200;

/**
 * Measures the mean and the standard deviation of modalities whose kind wants that, where they are not
 * configured, over the training images, labelled or not: the same whichever framework and seed. With
 * `fidelity: paper` kinds' own constants stand. A modality that is constant keeps them as well.
 *
 * @throws DataError of a list, as `openDatasets`; the signal's reason
 */
export async function measureModalities<Kind extends Config>(
  config: Kind,
  options: { workers?: number | undefined; signal?: AbortSignal | undefined } = {},
): Promise<{ config: Kind; chosen: Choice[] }> {
  const { workers = Math.min(8, availableParallelism()), signal } = options;
  const wanted = specsOf(config).map((spec) =>
    KINDS[spec.kind].measured && (spec.mean === undefined || spec.std === undefined) ? spec : null,
  );
  const paper = config.framework.fidelity === 'paper';
  if (paper || wanted.every((spec) => spec === null)) return { config, chosen: [] };
  const { labelled, unlabelled } = await openSources(config, undefined, { allLists: true });
  const samples = distinct([
    ...spread(withoutLabels(labelled), MEASURED),
    ...spread(unlabelled ?? [], MEASURED),
  ]);
  const found = await measureNormalisation(samples, wanted, { workers, signal });
  const modalities = { ...config.data.modalities };
  const chosen: Choice[] = [];
  for (const [m, spec] of wanted.entries()) {
    const normalisation = found[m];
    if (!spec || !normalisation) continue;
    for (const key of ['mean', 'std'] as const) {
      if (spec[key] !== undefined) continue;
      const values = normalisation[key];
      const value = values.length === 1 ? values[0]! : [...values];
      modalities[spec.name] = { ...modalities[spec.name]!, [key]: value };
      const why = `measured on ${samples.length} training images`;
      chosen.push({ key: `data.modalities.${spec.name}.${key}`, value, why });
    }
  }
  return { config: { ...config, data: { ...config.data, modalities } }, chosen };
}

/** Lists may share images. */
function distinct(samples: readonly Sample[]): Sample[] {
  return [...new Map(samples.map((sample) => [sample.files.join('\n'), sample])).values()];
}
