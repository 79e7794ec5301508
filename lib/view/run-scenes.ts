import { basename } from 'node:path';
import { IGNORE_LABEL } from '../data/index.js';
import { findCheckpoint } from '../experiment/checkpoint.js';
import { classNames, paletteOf } from '../experiment/classes.js';
import { openSources } from '../experiment/datasets.js';
import { placeOn } from '../experiment/device.js';
import { modalityIndex } from '../experiment/evaluate.js';
import {
  type Config,
  predictorInWorker,
  RunFolder,
  type WorkerPredictor,
} from '../experiment/index.js';
import { specsOf } from '../experiment/networks.js';
import { M3lError } from '../torch/errors.js';
import * as torch from '../torch/index.js';
import type { ConfusionProgress, SceneSet } from './api.js';
import { ByteCache } from './byte-cache.js';
import { type PackedClasses, packClasses } from './class-bytes.js';
import { hexOf } from './colours.js';
import { SceneReader, type SentPicture, shownSize } from './scene-reader.js';

const PREDICTIONS = 48 << 20;
const PICTURES = 48 << 20;

/** What a run's scenes and network were opened of; another checkpoint is another network. */
interface Network {
  checkpoint: string;
  predictor: WorkerPredictor;
}

interface Asking {
  readonly size: [number, number];
  readonly signal: AbortSignal;
}

/** What the network of a checkpoint says, [height, width]. */
interface Answer {
  readonly checkpoint: string;
  readonly classes: Uint8Array;
}

/**
 * The evaluated scenes of a run, and what its network says of them: in a worker, so that the page is
 * answered meanwhile. The network is opened when it is first asked, and anew for a later checkpoint.
 */
export class RunScenes {
  readonly #predictions = new ByteCache<PackedClasses>(PREDICTIONS, ({ bytes }) => bytes.length);
  readonly #pictures = new ByteCache<SentPicture>(PICTURES, ({ bytes }) => bytes.length);
  readonly #confusions = new Map<string, ConfusionProgress>();
  #network: Promise<Network> | null = null;
  #closed = false;

  private constructor(
    private readonly run: RunFolder,
    private readonly config: Config,
    private readonly sets: readonly string[],
    private readonly reader: SceneReader,
  ) {}

  /**
   * @param sets `key=value` overrides of the run's configuration: where the data is now, the device
   * @throws ConfigError, DataError, RunError of a run whose configuration or data cannot be used
   */
  static async open(folder: string, sets: readonly string[]): Promise<RunScenes> {
    const run = RunFolder.open(folder);
    // Where the run was trained may be a device that this machine has not.
    const { device } = placeOn(run.config(sets).device, { asked: false });
    const all = [...sets, `device=${device}`];
    const config = run.config(all);
    const { val } = await openSources(config);
    return new RunScenes(run, config, all, new SceneReader(config, val));
  }

  facts(): SceneSet {
    const checkpoint = findCheckpoint(this.run.checkpoints, 'latest');
    return {
      classes: classNames(this.config),
      colours: paletteOf(this.config).map(hexOf),
      modalities: specsOf(this.config).map((spec) => ({ name: spec.name, kind: spec.kind })),
      names: this.reader.samples.map(({ name }) => name),
      labelled: this.reader.samples.every(({ label }) => label !== null),
      checkpoint: checkpoint && basename(checkpoint),
    };
  }

  picture(index: number, modality: string): Promise<SentPicture> {
    return this.#pictures.get(`${index} ${modality}`, () => this.reader.picture(index, modality));
  }

  async label(index: number): Promise<PackedClasses> {
    const { classes, size } = await this.reader.label(index);
    return packClasses(classes, ...size);
  }

  /**
   * What the network says with modalities missing, at the size that the label is shown at.
   * @param signal takes the asking back: the network is not asked where nobody waits any more
   * @throws EvaluationError M3L_MISSING_MODALITY; CheckpointError M3L_NO_CHECKPOINT
   */
  async prediction(
    index: number,
    without: readonly string[],
    signal?: AbortSignal,
  ): Promise<PackedClasses> {
    const missing = this.#indices(without);
    const { checkpoint } = await this.#opened();
    const ask = async (signal: AbortSignal) => {
      const { labelHeight, labelWidth, height, width } = await this.reader.load(index);
      const size = labelHeight > 0 ? shownSize(labelHeight, labelWidth) : shownSize(height, width);
      const { classes } = await this.#classes(index, missing, { size, signal });
      return packClasses(classes, ...size);
    };
    return this.#predictions.get(`${checkpoint} ${index} ${missing}`, ask, signal);
  }

  /**
   * The confusion matrix over all evaluated scenes, as it grows; kept once it is complete.
   * @throws as `prediction`; the signal's reason
   */
  async *confusion(
    without: readonly string[],
    signal: AbortSignal,
  ): AsyncGenerator<ConfusionProgress> {
    const missing = this.#indices(without);
    let { checkpoint } = await this.#opened();
    const known = this.#confusions.get(`${checkpoint} ${missing}`);
    if (known !== undefined) {
      yield known;
      return;
    }
    const { length: images } = this.reader.samples;
    const { length: classes } = classNames(this.config);
    const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
    for (let index = 0; index < images; index++) {
      signal.throwIfAborted();
      const { label, labelHeight, labelWidth } = await this.reader.load(index);
      if (label !== null) {
        const answer = await this.#classes(index, missing, {
          size: [labelHeight, labelWidth],
          signal,
        });
        if (answer.checkpoint !== checkpoint) {
          // A later one answers: all are counted anew, of one network.
          checkpoint = answer.checkpoint;
          for (const row of counts) row.fill(0);
          index = -1;
          continue;
        }
        count(counts, label, answer.classes);
      }
      yield { done: index + 1, images, counts };
    }
    this.#confusions.set(`${checkpoint} ${missing}`, { done: images, images, counts });
  }

  /** Ends the network's thread. */
  async close(): Promise<void> {
    this.#closed = true;
    const network = await this.#network?.catch(() => null);
    await network?.predictor.close();
  }

  #indices(without: readonly string[]): number[] {
    const names = this.reader.specs.map(({ name }) => name);
    return [...new Set(without.map((name) => modalityIndex(name, names)))].sort((a, b) => a - b);
  }

  async #classes(index: number, missing: readonly number[], options: Asking): Promise<Answer> {
    try {
      return await this.#predict(index, missing, options);
    } catch (error) {
      // A later checkpoint took the place of the one that was asked.
      const replaced = error instanceof M3lError && error.code === 'M3L_WORKER_CLOSED';
      if (!replaced || this.#closed) throw error;
      return this.#predict(index, missing, options);
    }
  }

  async #predict(
    index: number,
    missing: readonly number[],
    { size, signal }: Asking,
  ): Promise<Answer> {
    const { checkpoint, predictor } = await this.#opened();
    const inputs = await this.reader.inputs(index, missing, predictor.loading);
    try {
      signal.throwIfAborted();
      return await torch.scope(async () => {
        const [classes] = await predictor.predictClasses(inputs, {
          ...{ size, signal },
          heads: ['ensemble'],
        });
        const bytes = classes!.to({ dtype: 'uint8', device: 'cpu' }).toTypedArray() as Uint8Array;
        return { checkpoint, classes: bytes.slice() };
      });
    } finally {
      torch.dispose(inputs);
    }
  }

  async #opened(): Promise<Network> {
    const latest = findCheckpoint(this.run.checkpoints, 'latest') ?? '';
    const before = this.#network;
    const network = await before?.catch(() => null);
    if (network?.checkpoint === latest) return network;
    // Others that waited for the same may have opened it meanwhile.
    if (this.#network === before && !this.#closed) {
      const opened = this.#open(latest);
      this.#network = opened;
      // One whose thread died is opened anew. Whoever waits for it is told of a failure; nobody may.
      const forget = () => {
        if (this.#network === opened) this.#network = null;
      };
      opened.then(({ predictor }) => predictor.ended.then(forget)).catch(() => {});
      await network?.predictor.close();
    }
    if (this.#closed) throw new M3lError('M3L_WORKER_CLOSED', 'The run was closed meanwhile.');
    return this.#network!;
  }

  async #open(checkpoint: string): Promise<Network> {
    const { sets } = this;
    const predictor = await predictorInWorker(this.run, { sets, measure: false });
    return { checkpoint, predictor };
  }
}

function count(counts: number[][], label: Uint8Array, classes: Uint8Array): void {
  for (let pixel = 0; pixel < label.length; pixel++) {
    const row = counts[label[pixel]!];
    if (label[pixel] !== IGNORE_LABEL && row !== undefined) row[classes[pixel]!]! += 1;
  }
}
