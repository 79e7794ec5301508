import sharp from 'sharp';
import * as torch from '../torch/index.js';
import { modalityIndex } from './evaluate.js';
import { writePicture } from './picture-file.js';
import {
  type FoundClass,
  type LoadedImages,
  type NetworkOptions,
  networkOf,
  SceneNetwork,
} from './predictor/scene-network.js';
import type { RunFolder } from './run-folder.js';
import type { Scene } from './scenes.js';

/** What was found in a scene; plain JSON. */
export interface PredictedScene {
  out: string;
  overlay: string | null;
  /** The file of probabilities; absent where none was asked for. */
  probabilities?: string;
  /** [height, width] */
  size: [number, number];
  /** Modalities that were not given. */
  missing: string[];
  /** What stood for them; null where the model has a mask token or nothing is missing. */
  fill: string | null;
  /** Classes that were found, the largest first; `share` of all pixels. */
  classes: FoundClass[];
}

/** A scene of files whose images are read. */
export interface LoadedScene extends LoadedImages {
  readonly scene: Scene;
}

/** A run's network, which segments scenes of files and writes what it finds; `dispose` frees it. */
export class ScenePredictor {
  readonly #network: SceneNetwork;

  /**
   * @param options.onNote is told where it computes, where that was not plainly asked for
   * @throws CheckpointError; RunError
   */
  constructor(
    run: RunFolder,
    { onNote, ...options }: NetworkOptions & { onNote?: ((text: string) => void) | undefined },
  ) {
    this.#network = new SceneNetwork(networkOf(run, options), onNote);
  }

  dispose(): void {
    this.#network.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @throws EvaluationError M3L_MISSING_MODALITY; DataError of an image */
  async load(scene: Scene): Promise<LoadedScene> {
    const names = this.#network.specs.map(({ name }) => name);
    for (const name of Object.keys(scene.images)) modalityIndex(name, names);
    const files = names.map((name) => scene.images[name] ?? null);
    return { scene, ...(await this.#network.load(files)) };
  }

  /** Scenes of one likeness can be segmented at once. */
  likeness(loaded: LoadedScene): string {
    return this.#network.likeness(loaded);
  }

  /**
   * Segments scenes of one likeness and writes their files; disposes of them.
   * @throws PictureError where a file cannot be written
   */
  async segment(scenes: readonly LoadedScene[]): Promise<PredictedScene[]> {
    try {
      const probabilities = scenes.some(({ scene }) => scene.probabilities !== undefined);
      const all = this.#network.segment(scenes, { probabilities });
      const written: PredictedScene[] = [];
      for (const [i, loaded] of scenes.entries()) {
        written.push(await this.#write(loaded, all[i]!.classes, all[i]!.probabilities));
      }
      return written;
    } finally {
      for (const { inputs } of scenes) torch.dispose(inputs);
    }
  }

  async #write(
    loaded: LoadedScene,
    classes: Uint8Array,
    probabilities: Float32Array | null,
  ): Promise<PredictedScene> {
    const { scene, size } = loaded;
    const [height, width] = size;
    const grey = sharp(classes, { raw: { width, height, channels: 1 } }).toColourspace('b-w');
    await writePicture(scene.out, grey);
    if (scene.overlay !== undefined) {
      const mixed = await this.#network.overlay(loaded, classes);
      await writePicture(scene.overlay, sharp(mixed, { raw: { width, height, channels: 3 } }));
    }
    if (scene.probabilities !== undefined && probabilities !== null) {
      const shape = [this.#network.classes.length, ...size] as const;
      await writeProbabilities(scene.probabilities, probabilities, shape);
    }
    return {
      out: scene.out,
      overlay: scene.overlay ?? null,
      ...(scene.probabilities === undefined ? {} : { probabilities: scene.probabilities }),
      size,
      ...this.#network.missing(loaded),
      classes: this.#network.found(classes),
    };
  }
}

async function writeProbabilities(
  path: string,
  values: Float32Array,
  shape: readonly [classes: number, height: number, width: number],
): Promise<void> {
  if (path.endsWith('.npy')) {
    torch.scope(() => torch.saveNpy(path, torch.tensor(values, { shape })));
    return;
  }
  const [classes, height, width] = shape;
  const highest = new Uint16Array(height * width);
  for (let pixel = 0; pixel < highest.length; pixel++) {
    let most = 0;
    for (let k = 0; k < classes; k++) most = Math.max(most, values[k * highest.length + pixel]!);
    highest[pixel] = Math.round(most * 65_535);
  }
  const raw = { width, height, channels: 1 } as const;
  await writePicture(path, sharp(highest, { raw }).toColourspace('grey16'));
}
