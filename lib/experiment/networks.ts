import { availableParallelism } from 'node:os';
import type { ModalitySpec } from '../data/index.js';
import { AveragedNetworks } from '../evaluation/index.js';
import { frameworkNamed, type Networks } from '../learning/index.js';
import { modelNamed, type SegmentationModel } from '../models/index.js';
import { segmentationModelShape } from '../models/rules.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { checkSameModel, loadCheckpoint } from './checkpoint.js';
import type { Config } from './config/config.js';
import { type DeviceOptions, placeOn } from './device.js';
import { CheckpointError } from './errors.js';
import { initialise } from './initialise.js';
import { loadEncoder } from './pretrained/load-encoder.js';
import { configShape } from './rules.js';

export function specsOf(config: Config): ModalitySpec[] {
  return Object.entries(config.data.modalities).map(([name, modality]) => ({ name, ...modality }));
}

/**
 * Between operators libgomp's threads spin for milliseconds, on cores that the loader's threads, the
 * event loop or other processes want: steps then take several times as long. It reads this, of the main
 * thread's environment, when it loads.
 */
export function calmThreads(): void {
  if (process.env.OMP_WAIT_POLICY === undefined) process.env.GOMP_SPINCOUNT ??= '5000';
}

/** Of a machine's cores what is one process's of several; undefined: it is alone, or told already. */
function shareOfThreads(): number | undefined {
  const processes = Number(process.env.LOCAL_WORLD_SIZE ?? 1);
  if (!(processes > 1) || process.env.OMP_NUM_THREADS !== undefined) return undefined;
  return Math.max(1, Math.floor(availableParallelism() / processes));
}

/**
 * Threads and device, before anything is computed.
 *
 * @param note is told which device it is and why, where that was not plainly asked for
 * @returns the configuration with the device that it stands for here
 * @throws RunError M3L_NO_CUDA, M3L_DEVICE
 */
export function prepareTorch<Given extends Config>(
  config: Given,
  note: (text: string) => void = () => {},
  options: DeviceOptions = {},
): Given {
  calmThreads();
  const threads = config.threads ?? shareOfThreads();
  if (threads !== undefined) torch.setNumThreads(threads);
  torch.cuda.allowTf32(config.precision === 'tf32');
  const { device, why } = placeOn(config.device, options);
  if (device !== config.device || device !== 'cpu') note(why);
  return { ...config, device };
}

/**
 * The networks that the run's framework needs, with the initial values that the seed gives, on the
 * run's device; those that it trains with the weights of the encoder or run that the configuration
 * names.
 *
 * @param note is told what of the run's weights was not taken
 */
export function createNetworks(
  config: Config,
  numClasses: number,
  note: (text: string) => void = () => {},
): Networks {
  checkArguments(
    'createNetworks',
    { config, numClasses, note },
    { config: configShape, numClasses: is.finite, note: is.callback },
  );

  torch.manualSeed(config.seed);
  const { networks, trainable } = frameworkNamed(config.framework.name);
  const made: Record<string, SegmentationModel> = {};
  try {
    for (const name of networks) {
      const model = create(config, numClasses);
      made[name] = model;
      if (!trainable.includes(name)) continue;
      loadEncoder(model, config, note);
      initialise(model, name, config, note);
    }
    return made;
  } catch (error) {
    disposeNetworks(made);
    throw error;
  }
}

/** Name of the network whose predictions count. */
export function headlineOf(config: Config): string {
  return frameworkNamed(config.framework.name).headline;
}

/**
 * Who answers for a run: its headline network, or where `evaluate.average` says so the mean of those that
 * were trained, which is none of the networks.
 */
export function answering(
  config: Config,
  networks: Networks,
): { name: string; model: SegmentationModel } {
  const { headline, trainable } = frameworkNamed(config.framework.name);
  if (!config.evaluate.average) return { name: headline, model: networks[headline]! };
  return {
    name: trainable.join(' + '),
    model: new AveragedNetworks(trainable.map((name) => networks[name]!)),
  };
}

/** The networks as a checkpoint holds them. */
export function loadNetworks(
  path: string,
  config: Config,
  numClasses: number,
): { networks: Networks; iteration: number } {
  checkArguments(
    'loadNetworks',
    { path, config, numClasses },
    { path: is.text, config: configShape, numClasses: is.finite },
  );

  return torch.scope(() => {
    const checkpoint = loadCheckpoint(path, { modelOnly: true });
    checkSameModel(path, checkpoint.config, config);
    const networks = createNetworks(
      { ...config, initialise: undefined, model: { ...config.model, pretrained: undefined } },
      numClasses,
    );
    for (const [name, model] of Object.entries(networks)) {
      loadWeights(model, name, checkpoint.tensors, path);
    }
    return { networks, iteration: checkpoint.iteration };
  });
}

/** Releases the networks' tensors. */
export function disposeNetworks(networks: Networks): void {
  checkArguments(
    'disposeNetworks',
    { networks },
    { networks: is.recordOf(segmentationModelShape) },
  );

  for (const model of Object.values(networks)) model.dispose();
}

function create(config: Config, numClasses: number): SegmentationModel {
  const { name, pretrained: _, ...options } = config.model;
  const model = modelNamed(name).create({
    ...options,
    numClasses,
    modalities: Object.keys(config.data.modalities).length,
    freezeBatchNorm: config.framework.freezeBatchNorm,
  });
  model.to({
    device: placeOn(config.device).device,
    ...(config.channelsLast ? { memoryFormat: 'channelsLast' } : {}),
  });
  if (config.precision === 'bfloat16') model.precision = 'bfloat16';
  return model;
}

function loadWeights(
  model: SegmentationModel,
  name: string,
  tensors: Record<string, Tensor>,
  path: string,
): void {
  const prefix = `${name}.`;
  const own = Object.fromEntries(
    Object.entries(tensors)
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, tensor]) => [key.slice(prefix.length), tensor]),
  );
  if (Object.keys(own).length === 0) {
    throw new CheckpointError(
      'M3L_CHECKPOINT_MODEL',
      `${path} holds no ${name}: it is a checkpoint of another framework. Use the configuration of that run.`,
    );
  }
  try {
    model.loadStateDict(own);
  } catch (error) {
    throw new CheckpointError(
      'M3L_CHECKPOINT_MODEL',
      `${path} is a checkpoint of another model: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
}
