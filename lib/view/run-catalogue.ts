import { basename, join, resolve } from 'node:path';
import { RunFolder } from '../experiment/index.js';
import { foldersIn, isRun } from '../experiment/runs/list-runs.js';
import { HttpError } from '../http/errors.js';
import { statIfThere } from '../torch/stat.js';
import type { RunEntry } from './api.js';
import { statOf } from './files.js';

/** Where `m3l train` puts runs. */
const DEFAULT_RUNS = 'runs';
/** Folders that are looked at at once. */
const AT_ONCE = 32;

/**
 * The runs to look at: folders of runs, and the runs in given folders, however deep, which are looked for anew
 * whenever the list is asked for. A run has an id, which requests name it by: no request can name a path.
 */
export class RunCatalogue {
  /** Folders of runs, or of folders of them. */
  readonly given: readonly string[];
  readonly #folders = new Map<string, string>();
  readonly #ids = new Map<string, string>();

  /**
   * @param asked run folders, or folders of them; null: those in `runs`, which may come yet
   * @throws RunError M3L_RUN_MISSING of one that is no folder
   */
  constructor(asked: readonly string[] | null) {
    for (const path of asked ?? []) {
      if (!statIfThere(path)?.isDirectory()) RunFolder.open(path);
    }
    this.given = asked ?? [DEFAULT_RUNS];
  }

  /** All runs, the one last written to first. */
  async list(): Promise<RunEntry[]> {
    const folders = this.given.flatMap((path) => foldersIn(resolve(path), isShown));
    const entries = await eachOf([...new Set(folders)], (folder) => this.#entry(folder));
    return entries
      .filter((entry) => entry !== null)
      .sort((a, b) => b.changed - a.changed || (a.id < b.id ? -1 : 1));
  }

  /** @throws HttpError 404 of one that was never in the list */
  async folderOf(id: string): Promise<string> {
    // A link may be followed before the list was asked for.
    if (!this.#folders.has(id)) await this.list();
    const folder = this.#folders.get(id);
    if (folder !== undefined) return folder;
    throw new HttpError(
      404,
      'M3L_RUN_MISSING',
      `'${id}' is no run in ${this.given.join(', ')}. It may have been moved or removed.`,
    );
  }

  async #entry(folder: string): Promise<RunEntry | null> {
    const config = await statOf(join(folder, 'config.yaml'));
    if (config === null || !config.isFile()) return null;
    const metrics = await statOf(join(folder, 'metrics.jsonl'));
    const changed = Math.round(Math.max(config.mtimeMs, metrics?.mtimeMs ?? 0));
    return { id: this.#idOf(folder), folder, changed };
  }

  /** The folder's name, with a number where another has the same. */
  #idOf(folder: string): string {
    const known = this.#ids.get(folder);
    if (known !== undefined) return known;
    const name = basename(folder);
    for (let copy = 1; ; copy++) {
      const id = copy === 1 ? name : `${name}~${copy}`;
      if (this.#folders.has(id)) continue;
      this.#folders.set(id, folder);
      this.#ids.set(folder, id);
      return id;
    }
  }
}

/** A configuration alone has its page too. */
const isShown = (names: readonly string[]) => isRun(names) || names.includes('config.yaml');

async function eachOf<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(work))));
  }
  return results;
}
