/** The network of a run, ready to predict: here, or as the module that a worker makes one from. */
import type { Colour, InputOptions, ModalitySpec } from '../data/index.js';
import { type PredictClassesOptions, predictClasses } from '../evaluation/index.js';
import type { ForwardOptions, Head, Prediction } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import { loadingOf, predictionOf } from './prediction-options.js';
import { imagePicture } from './predictor/image-picture.js';
import type { Pixels, SceneRequest } from './predictor/images.js';
import { type RunNetwork, SceneNetwork } from './predictor/scene-network.js';
import { type SceneAnswer, segmentImages } from './predictor/segment-images.js';

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

/** What a thread that is watched makes its model of. */
export interface ThreadData extends RunNetwork {
  /** One number, which grows as long as the model gets on; see watchdog.ts. */
  readonly pulse: Int32Array;
}

/** In a worker this is the model; it lives as long as the thread. */
export class RunPredictor {
  readonly #network: SceneNetwork;
  readonly #pulse: Int32Array | undefined;

  constructor({ pulse, ...network }: RunNetwork & Partial<ThreadData>) {
    this.#network = new SceneNetwork(network);
    this.#pulse = pulse;
  }

  facts(): NetworkFacts {
    const { view, config, specs, classes, colours } = this.#network;
    const { modalities, numClasses, hasMaskToken, leastSide } = view;
    return {
      ...{ modalities, numClasses, hasMaskToken, leastSide, specs, classes, colours },
      loading: loadingOf(config),
    };
  }

  forward(inputs: readonly (Tensor | null)[], options?: ForwardOptions): Prediction {
    return this.#network.view.forward(inputs, options);
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options?: ForwardOptions,
  ): Tensor[] {
    return this.#network.view.forwardHeads(inputs, heads, options);
  }

  predictClasses(inputs: readonly (Tensor | null)[], options: RunClassesOptions): Tensor[] {
    const { view, config } = this.#network;
    return predictClasses(view, inputs, { ...predictionOf(config), ...options });
  }

  /** An answer for each scene of images in memory. */
  segment(requests: readonly SceneRequest[]): Promise<SceneAnswer[]> {
    return segmentImages(this.#network, requests, () => {
      if (this.#pulse !== undefined) Atomics.add(this.#pulse, 0, 1);
    });
  }

  /** The one image that there is, as its kind is drawn. */
  picture(images: SceneRequest['images']): Promise<Pixels> {
    return imagePicture(this.#network, images);
  }

  /** Where it is no worker's, which ends with its thread. */
  dispose(): void {
    this.#network.dispose();
  }
}

/** The factory that a worker calls. */
export default (data: RunNetwork & Partial<ThreadData>): RunPredictor => new RunPredictor(data);
