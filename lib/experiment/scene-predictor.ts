import sharp from 'sharp';
import {
  type Colour,
  loadInputs,
  type ModalitySpec,
  readPlane,
  resizePlane,
} from '../data/index.js';
import { predictClasses, predictProbabilities } from '../evaluation/predict.js';
import { type InferenceView, optimizeForInference } from '../inference/index.js';
import type { Networks } from '../learning/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { classNames, paletteOf } from './classes.js';
import type { Config } from './config/config.js';
import { asksForDevice } from './device.js';
import { modalityIndex, requireCheckpoint } from './evaluate.js';
import { answering, disposeNetworks, loadNetworks, prepareTorch, specsOf } from './networks.js';
import { overlayPixels } from './overlay.js';
import { writePicture } from './picture-file.js';
import { loadingOf, predictionOf } from './prediction-options.js';
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
  classes: { index: number; name: string; share: number }[];
}

/** A scene whose images are read; its tensors belong to no scope. */
export interface LoadedScene {
  scene: Scene;
  files: readonly (string | null)[];
  inputs: (Tensor | null)[];
  size: [number, number];
}

/** A run's network, which segments scenes and writes what it finds; `dispose` frees it. */
export class ScenePredictor {
  readonly classes: readonly string[];
  readonly colours: readonly Colour[];
  readonly #config: Config;
  readonly #specs: readonly ModalitySpec[];
  readonly #networks: Networks;
  readonly #view: InferenceView;
  readonly #hasMaskToken: boolean;

  /**
   * @param options.onNote is told where it computes, where that was not plainly asked for
   * @throws CheckpointError; RunError
   */
  constructor(
    run: RunFolder,
    {
      checkpoint = 'latest',
      sets = [],
      onNote,
    }: {
      checkpoint?: 'best' | 'latest';
      sets?: readonly string[];
      onNote?: ((text: string) => void) | undefined;
    },
  ) {
    this.#config = prepareTorch(run.config(sets), onNote, { asked: asksForDevice(sets) });
    const path = requireCheckpoint(run, checkpoint);
    this.#specs = specsOf(this.#config);
    this.classes = classNames(this.#config);
    this.colours = paletteOf(this.#config);
    this.#networks = loadNetworks(path, this.#config, this.classes.length).networks;
    const { model } = answering(this.#config, this.#networks);
    this.#hasMaskToken = model.hasMaskToken;
    this.#view = optimizeForInference(model, { measure: false });
  }

  dispose(): void {
    this.#view.dispose();
    disposeNetworks(this.#networks);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @throws EvaluationError M3L_MISSING_MODALITY; DataError of an image */
  async load(scene: Scene): Promise<LoadedScene> {
    const names = this.#specs.map(({ name }) => name);
    for (const name of Object.keys(scene.images)) modalityIndex(name, names);
    const files = names.map((name) => scene.images[name] ?? null);
    const { inputs, size } = await loadInputs(this.#specs, files, loadingOf(this.#config));
    return { scene, files, inputs, size };
  }

  /** Scenes of one likeness can be segmented at once: the same modalities there, the same sizes. */
  likeness({ inputs, size }: LoadedScene): string {
    return `${size}|${inputs.map((input) => (input === null ? '-' : input.shape.slice(2)))}`;
  }

  /**
   * Segments scenes of one likeness and writes their files; disposes of them.
   * @throws PictureError where a file cannot be written
   */
  async segment(scenes: readonly LoadedScene[]): Promise<PredictedScene[]> {
    try {
      const { maps, probabilities } = this.#predict(scenes);
      const found: PredictedScene[] = [];
      for (const [i, loaded] of scenes.entries()) {
        found.push(await this.#write(loaded, maps[i]!, probabilities?.[i] ?? null));
      }
      return found;
    } finally {
      for (const { inputs } of scenes) torch.dispose(inputs);
    }
  }

  #predict(scenes: readonly LoadedScene[]): {
    maps: Uint8Array[];
    probabilities: Float32Array[] | null;
  } {
    const [first] = scenes;
    const asked = predictionOf(this.#config);
    const wanted = scenes.some(({ scene }) => scene.probabilities !== undefined);
    return torch.scope(() =>
      torch.noGrad(() => {
        const inputs = first!.inputs.map((input, m) => {
          return input && torch.cat(scenes.map((each) => each.inputs[m]!));
        });
        const options = { ...asked, size: first!.size, heads: ['ensemble'] as const };
        const { maps, probabilities } = wanted
          ? predictProbabilities(this.#view, inputs, options)
          : { maps: predictClasses(this.#view, inputs, options), probabilities: null };
        const [classes] = maps;
        return {
          maps: ofEach(classes!.to('uint8')) as Uint8Array[],
          probabilities: probabilities && (ofEach(probabilities) as Float32Array[]),
        };
      }),
    );
  }

  async #write(
    { scene, files, size }: LoadedScene,
    found: Uint8Array,
    probabilities: Float32Array | null,
  ): Promise<PredictedScene> {
    const [height, width] = size;
    const grey = sharp(found, { raw: { width, height, channels: 1 } }).toColourspace('b-w');
    await writePicture(scene.out, grey);
    if (scene.overlay !== undefined) {
      const at = files.findIndex((file) => file !== null);
      const plane = resizePlane(await readPlane(this.#specs[at]!, files[at]!), ...size);
      const mixed = overlayPixels(found, plane, this.colours);
      await writePicture(scene.overlay, sharp(mixed, { raw: { width, height, channels: 3 } }));
    }
    if (scene.probabilities !== undefined && probabilities !== null) {
      await writeProbabilities(scene.probabilities, probabilities, [this.classes.length, ...size]);
    }
    const missing = this.#specs.flatMap(({ name }, m) => (files[m] === null ? [name] : []));
    return {
      out: scene.out,
      overlay: scene.overlay ?? null,
      ...(scene.probabilities === undefined ? {} : { probabilities: scene.probabilities }),
      size,
      missing,
      fill: missing.length === 0 || this.#hasMaskToken ? null : this.#config.evaluate.fill,
      classes: shares(found, this.classes),
    };
  }
}

/** The values of each of a batch. */
export function ofEach(batch: Tensor): torch.TypedArray[] {
  return batch
    .cpu()
    .unbind(0)
    .map((each) => each.toTypedArray());
}

/** Classes by their share of the pixels, the largest first; those that were found. */
export function shares(found: Uint8Array, names: readonly string[]): PredictedScene['classes'] {
  const counts = new Array<number>(names.length).fill(0);
  for (const index of found) counts[index]!++;
  return names
    .map((name, index) => ({ index, name, share: counts[index]! / found.length }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share);
}

async function writeProbabilities(
  path: string,
  values: Float32Array,
  shape: [classes: number, height: number, width: number],
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
