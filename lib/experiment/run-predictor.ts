/** The network of a run, ready to predict: here, or as the module that a worker makes one from. */
import type { Colour, InputOptions, ModalitySpec } from '../data/index.js';
import { type PredictClassesOptions, predictClasses, viewsOf } from '../evaluation/index.js';
import { type InferenceView, optimizeForInference } from '../inference/index.js';
import type { ForwardOptions, Head, Prediction } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import { classNames, paletteOf } from './classes.js';
import type { Config } from './config/config.js';
import { asksForDevice } from './device.js';
import { requireCheckpoint } from './evaluate.js';
import { answering, loadNetworks, prepareTorch, specsOf } from './networks.js';
import { RunFolder } from './run-folder.js';
import { sizingOf } from './sizing.js';

/** What names the network; it can be sent to another thread. */
export interface RunNetwork {
  /** Folder of the run. */
  run: string;
  checkpoint: 'best' | 'latest';
  /** `key=value` overrides of its configuration. */
  sets: readonly string[];
  /** As of `optimizeForInference`. */
  measure: boolean;
}

/** What the network takes and tells, plain values. */
export interface NetworkFacts {
  /** M */
  readonly modalities: number;
  /** K */
  readonly numClasses: number;
  /** Whether a missing modality is known to the model; otherwise its input must be filled. */
  readonly hasMaskToken: boolean;
  /** The least height and the least width of the inputs. */
  readonly leastSide: number;
  /** The modalities in their order. */
  readonly specs: readonly ModalitySpec[];
  /** Names of the classes, and their colours. */
  readonly classes: readonly string[];
  readonly colours: readonly Colour[];
  /** How `loadInputs` of m3l/data loads images for it. */
  readonly loading: InputOptions;
}

/** As the run is configured, but for what is given. */
export type RunClassesOptions = Partial<Omit<PredictClassesOptions, 'specs' | 'size'>> &
  Pick<PredictClassesOptions, 'size'>;

/** How images are loaded for prediction. */
export function loadingOf(config: Config): InputOptions {
  const { evaluationSize: size, nearest } = sizingOf(config);
  const { resize, align } = config.data;
  return { size, resize, align, nearest, device: config.device };
}

/** How classes are predicted, but for their size. */
export function predictionOf(config: Config): Omit<PredictClassesOptions, 'size'> {
  const { fill } = config.evaluate;
  const { alignCorners } = sizingOf(config);
  return {
    specs: specsOf(config),
    fill,
    seed: config.seed,
    alignCorners,
    ...viewsOf(config.evaluate),
  };
}

/** In a worker this is the model; it lives as long as the thread. */
export class RunPredictor {
  readonly #view: InferenceView;
  readonly #config: Config;

  constructor({ run, checkpoint, sets, measure }: RunNetwork) {
    const folder = RunFolder.open(run);
    const config = prepareTorch(folder.config(sets), undefined, { asked: asksForDevice(sets) });
    const path = requireCheckpoint(folder, checkpoint);
    const { networks } = loadNetworks(path, config, classNames(config).length);
    this.#view = optimizeForInference(answering(config, networks).model, { measure });
    this.#config = config;
  }

  facts(): NetworkFacts {
    const { modalities, numClasses, hasMaskToken, leastSide } = this.#view;
    return {
      ...{ modalities, numClasses, hasMaskToken, leastSide },
      specs: specsOf(this.#config),
      classes: classNames(this.#config),
      colours: paletteOf(this.#config),
      loading: loadingOf(this.#config),
    };
  }

  forward(inputs: readonly (Tensor | null)[], options?: ForwardOptions): Prediction {
    return this.#view.forward(inputs, options);
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options?: ForwardOptions,
  ): Tensor[] {
    return this.#view.forwardHeads(inputs, heads, options);
  }

  predictClasses(inputs: readonly (Tensor | null)[], options: RunClassesOptions): Tensor[] {
    return predictClasses(this.#view, inputs, { ...predictionOf(this.#config), ...options });
  }
}

/** The factory that a worker calls. */
export default (network: RunNetwork): RunPredictor => new RunPredictor(network);
