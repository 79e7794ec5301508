import { checkArguments } from '../torch/check-arguments.js';
import { checkOutputs } from './picture-file.js';
import type { NetworkOptions } from './predictor/scene-network.js';
import { predictOptionsShape, runFolderShape } from './rules.js';
import type { RunFolder } from './run-folder.js';
import { type PredictedScene, ScenePredictor } from './scene-predictor.js';
import type { Scene } from './scenes.js';

/** What `predict` takes by name. */
export interface PredictOptions extends Scene, NetworkOptions {
  /** Told on which device it computes, where that was not plainly asked for. */
  onNote?: ((text: string) => void) | undefined;
}

/**
 * Segments a scene from whichever of its modalities are given, with the network that is its
 * framework's headline. Folders of the files it writes are made.
 *
 * @throws EvaluationError M3L_MISSING_MODALITY; PictureError; DataError of an image; CheckpointError
 */
export async function predict(run: RunFolder, options: PredictOptions): Promise<PredictedScene> {
  checkArguments(
    'predict',
    { run, options },
    { run: runFolderShape, options: predictOptionsShape },
  );

  const { sets, device, checkpoint, onNote, ...scene } = options;
  checkOutputs(scene);
  using predictor = new ScenePredictor(run, { checkpoint, device, sets, onNote });
  const [found] = await predictor.segment([await predictor.load(scene)]);
  return found!;
}
