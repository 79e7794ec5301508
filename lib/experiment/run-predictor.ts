/** The network of a run, ready to predict: here, or as the module that a worker makes one from. */
import type { Colour, InputOptions, ModalitySpec } from '../data/index.js';
import { type PredictClassesOptions, predictClasses } from '../evaluation/index.js';
import { type InferenceView, optimizeForInference } from '../inference/index.js';
import type { Networks } from '../learning/index.js';
import type { ForwardOptions, Head, Prediction } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import { classNames, paletteOf } from './classes.js';
import type { Config } from './config/config.js';
import { asksForDevice } from './device.js';
import { requireCheckpoint } from './evaluate.js';
import { answering, disposeNetworks, loadNetworks, prepareTorch, specsOf } from './networks.js';
import { loadingOf, predictionOf } from './prediction-options.js';
import { imagePicture } from './predictor/image-picture.js';
import type { Pixels, SceneRequest } from './predictor/images.js';
import { type SceneAnswer, segmentImages } from './predictor/segment-images.js';
import { RunFolder } from './run-folder.js';

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

/** In a worker this is the model; it lives as long as the thread. */
export class RunPredictor {
  readonly #view: InferenceView;
  readonly #config: Config;
  readonly #networks: Networks;

  constructor({ run, checkpoint, sets, measure }: RunNetwork) {
    const folder = RunFolder.open(run);
    const config = prepareTorch(folder.config(sets), undefined, { asked: asksForDevice(sets) });
    const path = requireCheckpoint(folder, checkpoint);
    const { networks } = loadNetworks(path, config, classNames(config).length);
    this.#view = optimizeForInference(answering(config, networks).model, { measure });
    this.#config = config;
    this.#networks = networks;
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

  /** An answer for each scene of images in memory. */
  segment(requests: readonly SceneRequest[]): Promise<SceneAnswer[]> {
    return segmentImages(this.#view, this.#config, requests);
  }

  /** The one image that there is, as its kind is drawn. */
  picture(images: SceneRequest['images']): Promise<Pixels> {
    return imagePicture(this.#config, images);
  }

  /** Where it is no worker's, which ends with its thread. */
  dispose(): void {
    this.#view.dispose();
    disposeNetworks(this.#networks);
  }
}

/** The factory that a worker calls. */
export default (network: RunNetwork): RunPredictor => new RunPredictor(network);
