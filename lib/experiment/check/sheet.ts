import { dirname } from 'node:path';
import { DataLoader } from '../../data/index.js';
import { contactSheet } from '../../evaluation/index.js';
import { makeFolder, writeFileAtomic } from '../../torch/atomic-write.js';
import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import { paletteOf } from '../classes.js';
import type { Config } from '../config/config.js';
import { datasetOf, openSources, spread } from '../datasets.js';
import { configShape } from '../rules.js';

/**
 * Draws some scenes of the labelled list, spread over it: every modality and the label, each image as
 * training reads it.
 * @param path a PNG file
 * @throws DataError of a file that cannot be read
 */
export async function drawSheet(config: Config, path: string, rows = 6): Promise<string> {
  checkArguments(
    'drawSheet',
    { config, path, rows },
    { config: configShape, path: is.text, rows: is.finite },
  );

  const { classes, labelled } = await openSources(config);
  const dataset = datasetOf(config, spread(labelled, rows));
  await using loader = new DataLoader(dataset, { transform: { kind: 'evaluation' }, batchSize: 1 });
  makeFolder(dirname(path));
  writeFileAtomic(
    path,
    await contactSheet({
      specs: dataset.modalities,
      classes,
      colours: paletteOf(config),
      batches: loader,
      rows,
    }),
  );
  return path;
}
