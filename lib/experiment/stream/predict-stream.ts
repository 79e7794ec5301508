import { setTimeout as pause } from 'node:timers/promises';
import { DataError } from '../../data/errors.js';
import { checkArguments } from '../../torch/check-arguments.js';
import { M3lError } from '../../torch/errors.js';
import { withDefaults } from '../../torch/require.js';
import * as is from '../../torch/rules.js';
import { modalityIndex } from '../evaluate.js';
import type { ImagePrediction, PredictionOutput, PredictorImage } from '../predictor/images.js';
import { ImagePredictor } from '../predictor/open-predictor.js';
import { frameFormat } from './frame-format.js';
import { type Fault, isConstant, Sensor } from './sensor.js';
import { openSource } from './source.js';

/** What `predictStream` takes by name. */
export interface PredictStreamOptions {
  /** Where the frames of modalities come from: a file, a named pipe, a device, or `-`, the standard input. */
  sources: Readonly<Record<string, string>>;
  /** How they are written: `mjpeg` (default), or as `rgb24:640x480` or `gray16le:640x480`. */
  frames?: Readonly<Record<string, string>>;
  /** What is made beside the classes. */
  outputs?: readonly PredictionOutput[];
  /** Whether frames of pipes wait, too; otherwise those that come while the model works are dropped. */
  everyFrame?: boolean;
  /** Seconds without a frame after which a sensor is silent (1). */
  stallSeconds?: number;
  /** Seconds that one sensor's frame waits for the others' (0.1). */
  pairSeconds?: number;
  /**
   * Is told when a sensor is not looked at any more, and (null) when it is again; `reason` is what came that
   * was no frame, where something did.
   */
  onSensor?: (name: string, fault: Fault | null, frames: number, reason: string | null) => void;
  /** Ends the stream. */
  signal?: AbortSignal | undefined;
}

/** What was found at one moment of a stream. */
export interface StreamPrediction {
  readonly prediction: ImagePrediction;
  /** The modalities that were not looked at, and why. */
  readonly faults: Readonly<Record<string, Fault>>;
  /** What came of each sensor so far, and how much of it was dropped. */
  readonly sensors: Readonly<Record<string, { frames: number; dropped: number }>>;
}

type Settings = Required<Omit<PredictStreamOptions, 'signal'>> &
  Pick<PredictStreamOptions, 'signal'>;

/**
 * Predicts from sensors as their frames come, from those that can be believed: one that ends, falls
 * silent or shows one value only is missing, and the model goes on with the others.
 *
 *     for await (const { prediction, faults } of predictStream(predictor, { sources: { rgb: '-' } })) …
 *
 * @throws EvaluationError M3L_MISSING_MODALITY, M3L_STREAM_FORMAT, M3L_STREAM_SOURCE; DataError
 *   M3L_SIZE_MISMATCH where sensors' frames do not lie over one another
 */
export async function* predictStream(
  predictor: ImagePredictor,
  options: PredictStreamOptions,
): AsyncGenerator<StreamPrediction> {
  checkArguments(
    'predictStream',
    { predictor, options },
    {
      predictor: is.instance(ImagePredictor),
      options: is.shape('options', { sources: is.recordOf(is.text) }),
    },
  );
  const settings = withDefaults<Settings>(
    'predictStream',
    {
      ...{ sources: {}, frames: {}, outputs: [], everyFrame: false, signal: undefined },
      ...{ stallSeconds: 1, pairSeconds: 0.1, onSensor: () => {} },
    },
    options,
  );
  checkArguments('predictStream', settings, {
    sources: is.recordOf(is.text),
    frames: is.recordOf(is.text),
    outputs: is.listOf(is.text),
    everyFrame: is.flag,
    stallSeconds: is.positive,
    pairSeconds: is.notNegative,
    onSensor: is.callback,
    signal: is.maybe(is.instance(AbortSignal)),
  });
  const names = predictor.facts.specs.map(({ name }) => name);
  const { sources, frames } = settings;
  for (const name of Object.keys({ ...sources, ...frames })) modalityIndex(name, names);
  const stream = await Stream.open(settings);
  try {
    yield* stream.predictions(predictor);
  } finally {
    stream.close();
  }
}

class Stream {
  readonly #settings: Settings;
  readonly #sensors: readonly Sensor[];
  readonly #latest = new Map<Sensor, PredictorImage>();
  readonly #faults = new Map<Sensor, Fault | null>();
  readonly #everyFrame: boolean;
  #wake: () => void = () => {};

  private constructor(settings: Settings, sensors: readonly Sensor[], everyFrame: boolean) {
    this.#settings = settings;
    this.#sensors = sensors;
    this.#everyFrame = everyFrame;
    for (const sensor of sensors) sensor.onChange(() => this.#wake());
  }

  static async open(settings: Settings): Promise<Stream> {
    const { sources, frames, everyFrame } = settings;
    const named = Object.entries(sources).map(([name, path]) => ({
      ...{ name, path },
      format: frameFormat(frames[name] ?? 'mjpeg'),
    }));
    if (named.filter(({ path }) => path === '-').length > 1) {
      throw new M3lError(
        'M3L_STREAM_SOURCE',
        'found - for several modalities, expected it once: the standard input has the frames of one. Give the others named pipes (mkfifo).',
      );
    }
    if (named.length === 0) {
      throw new M3lError('M3L_STREAM_SOURCE', 'found no source, expected at least one modality.');
    }
    const opened = await Promise.all(
      named.map(async (each) => {
        const { name, path, format } = each;
        const bytes = format.kind === 'raw' ? format.bytes : undefined;
        return { ...each, ...(await openSource(name, path, bytes)) };
      }),
    );
    const sensors = opened.map(
      ({ name, format, input, waits }) => new Sensor(name, format, input, waits || everyFrame),
    );
    return new Stream(settings, sensors, everyFrame || opened.every(({ waits }) => waits));
  }

  close(): void {
    for (const sensor of this.#sensors) sensor.close();
  }

  async *predictions(predictor: ImagePredictor): AsyncGenerator<StreamPrediction> {
    const { outputs, signal } = this.#settings;
    while (await this.#moment()) {
      const images = await this.#images();
      if (Object.values(images).every((image) => image === null)) continue;
      let prediction: ImagePrediction;
      try {
        prediction = await predictor.predict(images, { outputs, ...(signal && { signal }) });
      } catch (error) {
        if (signal?.aborted) return;
        // One frame that came damaged is no reason to end.
        if (error instanceof M3lError && error.code === 'M3L_IMAGE_CORRUPT') continue;
        throw error;
      }
      const faults = [...this.#faults].flatMap(([{ name }, fault]) =>
        fault ? [[name, fault]] : [],
      );
      yield {
        prediction,
        faults: Object.fromEntries(faults) as Record<string, Fault>,
        sensors: Object.fromEntries(
          this.#sensors.map(({ name, frames, dropped }) => [name, { frames, dropped }]),
        ),
      };
    }
  }

  /** Waits until there is something to look at; false: nothing comes any more. */
  async #moment(): Promise<boolean> {
    const { signal, pairSeconds } = this.#settings;
    let since: number | null = null;
    while (!signal?.aborted) {
      const waiting = this.#sensors.filter((sensor) => sensor.waiting > 0);
      const due = this.#sensors.filter(
        (sensor) => sensor.waiting === 0 && !sensor.ended && !this.#isSilent(sensor),
      );
      if (waiting.length > 0) since ??= performance.now();
      const late = since !== null && performance.now() - since >= pairSeconds * 1000;
      if (waiting.length > 0 && (due.length === 0 || (late && !this.#everyFrame))) return true;
      if (waiting.length === 0) {
        if (this.#sensors.every(({ ended }) => ended)) {
          for (const sensor of this.#sensors)
            if (sensor.reason !== null) this.#tell(sensor, 'ended');
          return false;
        }
        for (const sensor of this.#sensors) this.#tellSilence(sensor);
      }
      await this.#change();
    }
    return false;
  }

  /** A frame comes, a sensor ends, or a little time goes by. */
  async #change(): Promise<void> {
    const { signal, pairSeconds, stallSeconds } = this.#settings;
    const controller = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    signal?.addEventListener('abort', this.#wake, { once: true });
    const ms = 1000 * Math.min(0.25, Math.max(0.005, Math.min(pairSeconds, stallSeconds) / 4));
    await Promise.race([
      woken,
      pause(ms, undefined, { signal: controller.signal }).catch(() => {}),
    ]);
    controller.abort();
    signal?.removeEventListener('abort', this.#wake);
  }

  #isSilent({ lastCame }: Sensor): boolean {
    return performance.now() - lastCame > this.#settings.stallSeconds * 1000;
  }

  #tellSilence(sensor: Sensor): void {
    if (sensor.waiting > 0) return;
    if (sensor.ended) this.#tell(sensor, 'ended');
    else if (this.#isSilent(sensor)) this.#tell(sensor, 'silent');
  }

  #tell(sensor: Sensor, fault: Fault | null): void {
    if ((this.#faults.get(sensor) ?? null) === fault) return;
    this.#faults.set(sensor, fault);
    const reason = fault === 'silent' || fault === 'ended' ? sensor.reason : null;
    this.#settings.onSensor(sensor.name, fault, sensor.frames, reason);
  }

  async #images(): Promise<Record<string, PredictorImage | null>> {
    const seen = await Promise.all(
      this.#sensors.map(async (sensor) => [sensor.name, await this.#look(sensor)] as const),
    );
    return Object.fromEntries(seen);
  }

  async #look(sensor: Sensor): Promise<PredictorImage | null> {
    const fresh = sensor.take();
    if (fresh === null) {
      if (sensor.ended) this.#tell(sensor, 'ended');
      else if (this.#isSilent(sensor)) this.#tell(sensor, 'silent');
      const usable = (this.#faults.get(sensor) ?? null) === null;
      return usable ? (this.#latest.get(sensor) ?? null) : null;
    }
    this.#latest.set(sensor, fresh);
    let fault: Fault | null;
    try {
      fault = (await isConstant(fresh)) ? 'constant' : null;
    } catch (error) {
      if (error instanceof DataError) throw error;
      fault = 'unreadable';
    }
    this.#tell(sensor, fault);
    return fault === null ? fresh : null;
  }
}
