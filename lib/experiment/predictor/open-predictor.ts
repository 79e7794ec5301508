import { checkArguments } from '../../torch/check-arguments.js';
import { M3lError } from '../../torch/errors.js';
import { fromPortable } from '../../torch/portable-error.js';
import { withDefaults } from '../../torch/require.js';
import * as is from '../../torch/rules.js';
import { RunFolder } from '../run-folder.js';
import type { NetworkFacts } from '../run-predictor.js';
import { Batcher } from './batcher.js';
import { type Engine, engineHere, type ThreadDeath, ThreadEngine } from './engine.js';
import {
  type ImagePrediction,
  type Pixels,
  PREDICTION_OUTPUTS,
  type PredictionOutput,
  type PredictorImage,
  type PredictorImages,
  type SceneRequest,
  sourcesOf,
} from './images.js';
import { type NetworkOptions, networkOf } from './scene-network.js';
import type { SceneAnswer } from './segment-images.js';

/** What `openPredictor` takes by name. */
export interface OpenPredictorOptions extends NetworkOptions {
  /** In a thread of its own (default), so that the event loop never waits for the model. */
  worker?: boolean;
  /** Predictions that are made together, at most (8). */
  maxBatch?: number;
  /** Milliseconds that a prediction waits for others while the model is idle (2). */
  window?: number;
  /** Predictions that may wait; more are refused (256). */
  maxQueue?: number;
  /** Pixels that an image may have; more are refused before they are decoded (2^26). */
  maxPixels?: number;
  /** Is told of each batch when it is done. */
  onBatch?: ((batch: { size: number; seconds: number }) => void) | undefined;
  /** How often within ten minutes the model's thread is started anew where it died or hung (5). */
  restarts?: number;
  /** Seconds that the thread may work at one image or one pass of the model before it is taken to hang (120). */
  hangSeconds?: number;
  /** Is told of each death of that thread. */
  onDeath?: ((death: ThreadDeath) => void) | undefined;
}

/** What `ImagePredictor.predict` takes by name. */
export interface PredictImagesOptions {
  /** What is made beside the classes. */
  outputs?: readonly PredictionOutput[];
  /** Takes the prediction back: it is rejected with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** A run's network that segments images in memory; made by {@link openPredictor}. */
export class ImagePredictor {
  /** What the model takes and tells: modalities (`specs`), classes, colours. */
  readonly facts: NetworkFacts;
  readonly #engine: Engine;
  readonly #batcher: Batcher<SceneRequest, SceneAnswer>;
  readonly #maxPixels: number;
  #closed: M3lError | null = null;

  private constructor(
    engine: Engine,
    {
      onBatch,
      maxPixels,
      ...options
    }: Required<Pick<OpenPredictorOptions, Bounds>> & Pick<OpenPredictorOptions, 'onBatch'>,
  ) {
    this.facts = engine.facts;
    this.#engine = engine;
    this.#maxPixels = maxPixels;
    this.#batcher = new Batcher(async (requests) => {
      const start = performance.now();
      try {
        return await engine.segment(requests);
      } finally {
        onBatch?.({ size: requests.length, seconds: (performance.now() - start) / 1000 });
      }
    }, options);
  }

  static async open(
    run: RunFolder | string,
    options: OpenPredictorOptions,
  ): Promise<ImagePredictor> {
    const { checkpoint, device, sets, worker, restarts, hangSeconds, onDeath, ...rest } =
      optionsOf(options);
    const network = networkOf(run, { checkpoint, device, sets });
    const engine = worker
      ? await ThreadEngine.open(network, { restarts, hangSeconds, onDeath })
      : await engineHere(network);
    return new ImagePredictor(engine, rest);
  }

  /** Predictions that wait for the model, and those that it works on. */
  get load(): { waiting: number; running: number } {
    return { waiting: this.#batcher.waiting, running: this.#batcher.running };
  }

  /** Why it cannot predict now: M3L_PREDICTOR_CLOSED, M3L_WORKER_DIED, M3L_WORKER_STUCK; null where it can. */
  get fault(): M3lError | null {
    return this.#closed ?? this.#engine.fault;
  }

  /** Whether it can predict now: not after `close`, nor while its thread is dead. */
  get alive(): boolean {
    return this.fault === null;
  }

  /**
   * Segments one scene from whichever images are given, of any size. Predictions that are asked for at
   * the same time are made together where their modalities and sizes are the same.
   *
   * @param images by the names of modalities: bytes of image files, or pixels; null or absent: missing
   * @throws EvaluationError M3L_MISSING_MODALITY for an unknown name; DataError of an image's code, or
   *   M3L_DATA_OPTIONS for none; M3L_PREDICTOR_BUSY, M3L_PREDICTOR_CLOSED, M3L_WORKER_DIED
   */
  async predict(
    images: PredictorImages,
    options: PredictImagesOptions = {},
  ): Promise<ImagePrediction> {
    checkArguments('predict', { images, options }, { images: is.record, options: is.record });
    const { outputs, signal } = withDefaults<
      Required<Omit<PredictImagesOptions, 'signal'>> & Pick<PredictImagesOptions, 'signal'>
    >('predict', { outputs: [], signal: undefined }, options);
    checkArguments(
      'predict',
      { outputs, signal },
      {
        outputs: is.listOf(is.oneOf(...PREDICTION_OUTPUTS)),
        signal: is.maybe(is.instance(AbortSignal)),
      },
    );
    const request = {
      images: sourcesOf(images, this.facts, this.#maxPixels),
      outputs: [...outputs],
    };
    const answer = await this.#batcher.ask(request, signal);
    if ('error' in answer) throw fromPortable(answer.error);
    return answer.prediction;
  }

  /**
   * An image of one modality as the model is shown it, for somebody to look at: colours as they are, what
   * is measured in viridis over its own range.
   *
   * @returns [H, W, 3] RGB bytes, of the size that the run predicts at
   * @throws EvaluationError M3L_MISSING_MODALITY for an unknown name; DataError of an image's code;
   *   M3L_PREDICTOR_CLOSED, M3L_WORKER_DIED
   */
  async picture(name: string, image: PredictorImage): Promise<Pixels> {
    checkArguments('picture', { name, image }, { name: is.text, image: is.record });
    if (this.#closed !== null) throw this.#closed;
    return this.#engine.picture(sourcesOf({ [name]: image }, this.facts, this.#maxPixels));
  }

  /**
   * Ends it, and its thread; predictions that were not made are rejected.
   * @throws M3lError M3L_WORKER_STUCK where the thread hangs in a native call
   */
  async close(): Promise<void> {
    this.#closed ??= new M3lError(
      'M3L_PREDICTOR_CLOSED',
      'the predictor was closed before it answered, expected it open until then: open another, or close it later',
    );
    this.#batcher.close(this.#closed);
    await this.#engine.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

type Optional = 'device' | 'sets' | 'onBatch' | 'onDeath';
type Bounds = 'maxBatch' | 'window' | 'maxQueue' | 'maxPixels';

/**
 * A trained run as a function from images to classes, for programs that embed it.
 *
 *     await using predictor = await openPredictor('run', { device: 'cpu' });
 *     const { classes, width, height } = await predictor.predict({ rgb: await readFile('a.png'), depth: null });
 *
 * Images are bytes of files (PNG of 8 or 16 bits, JPEG, WebP, TIFF, .npy) or pixels, `{ data, width, height,
 * channels }`; they are decoded in the model's thread.
 *
 * @throws RunError, CheckpointError, ConfigError by their codes
 */
export function openPredictor(
  run: RunFolder | string,
  options: OpenPredictorOptions = {},
): Promise<ImagePredictor> {
  checkArguments(
    'openPredictor',
    { run, options },
    { run: is.either(is.text, is.instance(RunFolder)), options: is.record },
  );
  return ImagePredictor.open(run, options);
}

function optionsOf(given: OpenPredictorOptions) {
  const options = withDefaults<
    Required<Omit<OpenPredictorOptions, Optional>> & Pick<OpenPredictorOptions, Optional>
  >(
    'openPredictor',
    {
      ...{ checkpoint: 'latest', device: undefined, sets: [], worker: true },
      ...{ restarts: 5, hangSeconds: 120 },
      ...{ onBatch: undefined, onDeath: undefined },
      ...{ maxBatch: 8, window: 2, maxQueue: 256, maxPixels: 2 ** 26 },
    },
    given,
  );
  checkArguments('openPredictor', options, {
    checkpoint: is.oneOf('best', 'latest'),
    device: is.maybe(is.text),
    sets: is.maybe(is.listOf(is.text)),
    worker: is.flag,
    maxBatch: is.count,
    window: is.atMost(is.notNegative, 60_000),
    maxQueue: is.count,
    maxPixels: is.count,
    onBatch: is.maybe(is.callback),
    restarts: is.index,
    hangSeconds: is.atMost(is.positive, 86_400),
    onDeath: is.maybe(is.callback),
  });
  return options;
}
