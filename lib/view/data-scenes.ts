import { setTimeout } from 'node:timers/promises';
import { classNames, paletteOf } from '../experiment/classes.js';
import { openSources } from '../experiment/datasets.js';
import { reasonOf } from '../experiment/errors.js';
import type { CheckReport } from '../experiment/index.js';
import { type Config, checkData, requireDataRoot, settle } from '../experiment/index.js';
import { specsOf } from '../experiment/networks.js';
import { sizingOf } from '../experiment/sizing.js';
import { HttpError } from '../http/errors.js';
import type { DataHome } from './api.js';
import { hexOf } from './colours.js';
import { SceneReader } from './scene-reader.js';

/** How far the check of the data is. */
export interface CheckProgress {
  done: number;
  scenes: number;
  report: CheckReport | null;
  problem: string | null;
}

/** Milliseconds. */
const LOOK_EVERY = 150;

interface Split {
  /** As stored, and as training draws them. */
  stored: SceneReader;
  drawn: SceneReader;
}

/** The data of a configuration, to look at before training. */
export class DataScenes {
  readonly #splits = new Map<string, Split>();
  readonly #abort = new AbortController();
  #progress: CheckProgress = { done: 0, scenes: 0, report: null, problem: null };
  #checked: Promise<void> | null = null;
  private constructor(
    private readonly given: Config,
    readonly home: DataHome,
  ) {}

  /** @throws ConfigError, DataError of lists that are not there */
  static async open(given: Config, note: (text: string) => void): Promise<DataScenes> {
    requireDataRoot(given);
    const { config, chosen } = await settle(given, note);
    const sources = await openSources(config, note, { allLists: true, test: true });
    const { crop, cropMostOneClass: mostOneClass, flip, scales } = config.data;
    const { nearest } = sizingOf(config);
    const place = { crop, flip, scales, mostOneClass };
    const scenes = new DataScenes(given, {
      name: config.name,
      classes: classNames(config),
      colours: paletteOf(config).map(hexOf),
      modalities: specsOf(config).map(({ name, kind }) => ({ name, kind })),
      splits: [],
      chosen: chosen.map(({ key, value, why }) => ({ key, value: JSON.stringify(value), why })),
    });
    for (const name of ['labelled', 'unlabelled', 'val', 'test'] as const) {
      const samples = sources[name];
      if (!samples || samples.length === 0) continue;
      scenes.#splits.set(name, {
        stored: new SceneReader(config, samples),
        drawn: new SceneReader(config, samples, { kind: 'training', ...place, nearest }),
      });
      const labelled = samples.every(({ label }) => label !== null);
      scenes.home.splits.push({ name, scenes: samples.length, labelled });
    }
    return scenes;
  }

  /** @throws HttpError 404 */
  split(name: string): Split {
    const split = this.#splits.get(name);
    if (split !== undefined) return split;
    const known = [...this.#splits.keys()].join(', ');
    throw new HttpError(404, 'M3L_SPLIT_MISSING', `found the list '${name}', expected ${known}.`);
  }

  /** How far the check is, now and whenever it went on; it begins with the first that asks. */
  async *check(signal: AbortSignal): AsyncGenerator<CheckProgress> {
    this.#checked ??= this.#check();
    for (let told: CheckProgress | null = null; !signal.aborted; ) {
      if (told !== this.#progress) {
        told = this.#progress;
        yield told;
      }
      if (told.report !== null || told.problem !== null) return;
      await setTimeout(LOOK_EVERY);
    }
  }

  async close(): Promise<void> {
    this.#abort.abort(new Error('closed'));
    await this.#checked;
  }

  async #check(): Promise<void> {
    try {
      const report = await checkData({
        config: this.given,
        signal: this.#abort.signal,
        onProgress: (done, scenes) => this.#tell({ done, scenes }),
      });
      this.#tell({ report });
    } catch (error) {
      this.#tell({ problem: reasonOf(error) });
    }
  }

  #tell(progress: Partial<CheckProgress>): void {
    this.#progress = { ...this.#progress, ...progress };
  }
}
