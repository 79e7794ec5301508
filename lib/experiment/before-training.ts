import { existsSync } from 'node:fs';
import type { Networks } from '../learning/index.js';
import { requireUsableData } from './check/require-usable.js';
import { findCheckpoint } from './checkpoint.js';
import { choicesText } from './choices-text.js';
import { classNames } from './classes.js';
import type { Config, SettledConfig } from './config/config.js';
import { completed } from './config/follow-data.js';
import { type Datasets, openDatasets } from './datasets.js';
import { RunError } from './errors.js';
import { checkLoggers } from './logging/run-logging.js';
import { measureModalities } from './measure.js';
import { createNetworks, disposeNetworks, prepareTorch } from './networks.js';
import {
  deviceOf,
  fromFirst,
  type Group,
  isFirst,
  peersIn,
  requireDivisible,
} from './processes.js';
import { settle } from './settle.js';
import type { TrainEvent, TrainOptions } from './train.js';
import { weighClasses } from './weigh-classes.js';

/** All that can fail early does so here: nothing is written yet. */
export async function beforeTraining(
  options: TrainOptions,
  onEvent: (event: TrainEvent) => void,
): Promise<{ config: SettledConfig; datasets: Datasets; networks: Networks }> {
  const group = options.group ?? null;
  const onNote = (text: string) => onEvent({ kind: 'note', text });
  const asked = deviceOf(options.config.device, group);
  const placed = prepareTorch({ ...options.config, device: asked }, onNote);
  requireGraphs(placed, group);
  let networks: Networks = {};
  try {
    const settled = await fromFirst(group, async () => {
      const looked = await lookAhead({ ...options, config: placed }, onEvent);
      networks = looked.networks;
      return looked.config;
    });
    const config: SettledConfig = isFirst(group)
      ? settled
      : {
          ...settled,
          device: placed.device,
          threads: options.config.threads,
          workers: options.config.workers,
        };
    if (options.config.data.root !== undefined) config.data.root = options.config.data.root;
    requireDivisible(config, group);
    // The others get the first one's weights.
    if (!isFirst(group)) networks = createNetworks(unweighted(config), classNames(config).length);
    const shard = peersIn(group);
    return { config, datasets: await openDatasets(config, onNote, { shard }), networks };
  } catch (error) {
    disposeNetworks(networks);
    throw error;
  }
}

/** What the first process does for all: settles the configuration, and checks weights and data. */
async function lookAhead(
  options: TrainOptions,
  onEvent: (event: TrainEvent) => void,
): Promise<{ config: SettledConfig; networks: Networks }> {
  const onNote = (text: string) => onEvent({ kind: 'note', text });
  const { resume = false, run, signal } = options;
  checkLoggers(options.config.logging);
  const own = resume && existsSync(run.configFile) ? run.config() : null;
  const settled = own
    ? { config: completed(options.config, own), chosen: [] }
    : await settle(options.config, onNote);
  // Before the data, which takes longest: the weights to start from may not be there.
  const start = startOf({ ...options, config: settled.config });
  const networks = createNetworks(start, classNames(start).length, onNote);
  try {
    if (options.check !== false) {
      await requireUsableData({
        config: settled.config,
        onNote,
        onProgress: (done, scenes) => onEvent({ kind: 'checking', done, scenes }),
        signal,
      });
    }
    const measured = own ? settled : await measureModalities(settled.config, { signal });
    const { config, chosen } = await weighClasses(measured.config, { signal });
    const all = [...settled.chosen, ...(own ? [] : measured.chosen), ...chosen];
    if (all.length > 0) onNote(choicesText(all));
    return { config, networks };
  } catch (error) {
    disposeNetworks(networks);
    throw error;
  }
}

/** Weights to start from are not looked for where those of a checkpoint take their place. */
function startOf({ config, run, resume = false }: TrainOptions): Config {
  if (!resume || findCheckpoint(run.checkpoints, 'latest') === null) return config;
  return unweighted(config);
}

function unweighted<Kind extends Config>(config: Kind): Kind {
  return { ...config, initialise: undefined, model: { ...config.model, pretrained: undefined } };
}

/** Before anything takes time; evaluation and prediction need no graphs, on whichever device. */
function requireGraphs({ cudaGraph, device }: Config, group: Group): void {
  if (cudaGraph && group !== null) {
    throw new RunError(
      'M3L_CUDA_GRAPH',
      `cudaGraph is true, and ${group.worldSize} processes train together: expected eager steps, since a ` +
        'graph does not wait for other processes. Use --set cudaGraph=false, or one process.',
    );
  }
  if (!cudaGraph || device.startsWith('cuda')) return;
  throw new RunError(
    'M3L_CUDA_GRAPH',
    `cudaGraph is true and device is '${device}': expected a CUDA device. Use --set device=cuda, or ` +
      '--set cudaGraph=false.',
  );
}
