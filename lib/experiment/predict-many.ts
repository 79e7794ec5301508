import { dirname, resolve } from 'node:path';
import { makeFolder } from '../torch/atomic-write.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { reasonOf } from './errors.js';
import { checkOutputs } from './picture-file.js';
import type { NetworkOptions } from './predictor/scene-network.js';
import { runFolderShape } from './rules.js';
import type { RunFolder } from './run-folder.js';
import { type LoadedScene, type PredictedScene, ScenePredictor } from './scene-predictor.js';
import type { Scene } from './scenes.js';

/** What `predictMany` takes by name. */
export interface PredictManyOptions extends NetworkOptions {
  /** How many scenes alike, one after another, are computed at once; 1 by default. */
  batch?: number;
  /** Told on which device it computes, where that was not plainly asked for. */
  onNote?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** A scene that could not be segmented, and why. */
export interface FailedScene {
  out: string;
  error: { code: string | null; message: string };
}

/**
 * Segments scenes as they come, each from whichever modalities it has. One that fails does not stop the
 * others.
 *
 * @returns what was found, in order
 * @throws CheckpointError, RunError of the run; what `scenes` throws
 */
export async function* predictMany(
  run: RunFolder,
  scenes: Iterable<Scene> | AsyncIterable<Scene>,
  options: PredictManyOptions = {},
): AsyncGenerator<PredictedScene | FailedScene> {
  checkArguments(
    'predictMany',
    { run, scenes, options },
    { run: runFolderShape, scenes: is.iterable, options: is.record },
  );
  const { batch = 1, signal, checkpoint, device, sets, onNote } = options;
  using predictor = new ScenePredictor(run, { checkpoint, device, sets, onNote });
  let waiting: LoadedScene[] = [];
  const flush = async (): Promise<(PredictedScene | FailedScene)[]> => {
    const now = waiting;
    waiting = [];
    if (now.length === 0) return [];
    try {
      return await predictor.segment(now);
    } catch (error) {
      return now.map(({ scene }) => failed(scene, error));
    }
  };
  try {
    for await (const scene of scenes) {
      if (signal?.aborted) break;
      let loaded: LoadedScene;
      try {
        checkOutputs(scene);
        makeFolder(dirname(resolve(scene.out)));
        loaded = await predictor.load(scene);
      } catch (error) {
        yield* await flush();
        yield failed(scene, error);
        continue;
      }
      const [first] = waiting;
      if (first && predictor.likeness(first) !== predictor.likeness(loaded)) yield* await flush();
      waiting.push(loaded);
      if (waiting.length >= batch) yield* await flush();
    }
    yield* await flush();
  } finally {
    for (const { inputs } of waiting) torch.dispose(inputs);
  }
}

function failed({ out }: Scene, error: unknown): FailedScene {
  const code = (error as { code?: unknown } | null)?.code;
  return { out, error: { code: typeof code === 'string' ? code : null, message: reasonOf(error) } };
}
