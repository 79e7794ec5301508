import {
  type Colour,
  type ImageSource,
  loadInputs,
  type ModalitySpec,
  readPlane,
  resizePlane,
} from '../../data/index.js';
import { predictClasses, predictProbabilities } from '../../evaluation/predict.js';
import { type InferenceView, optimizeForInference } from '../../inference/index.js';
import type { Networks } from '../../learning/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { classNames, paletteOf } from '../classes.js';
import type { Config } from '../config/config.js';
import { asksForDevice } from '../device.js';
import { requireCheckpoint } from '../evaluate.js';
import { answering, disposeNetworks, loadNetworks, prepareTorch, specsOf } from '../networks.js';
import { overlayPixels } from '../overlay.js';
import { loadingOf, predictionOf } from '../prediction-options.js';
import { RunFolder } from '../run-folder.js';

/** Which network of a run, where, and how it is configured. */
export interface NetworkOptions {
  /** Default: `latest`. */
  checkpoint?: 'best' | 'latest' | undefined;
  /** Overrides that of the run's configuration. */
  device?: string | undefined;
  /** `key=value` overrides of the run's configuration. */
  sets?: readonly string[] | undefined;
}

/** What names the network of a run; it can be sent to another thread. */
export interface RunNetwork {
  /** Folder of the run. */
  run: string;
  checkpoint: 'best' | 'latest';
  /** `key=value` overrides of its configuration. */
  sets: readonly string[];
  /** As of `optimizeForInference`. */
  measure: boolean;
}

/** What names the network that such options ask for. */
export function networkOf(
  run: RunFolder | string,
  { checkpoint = 'latest', device, sets = [] }: NetworkOptions,
  { measure }: { measure: boolean } = { measure: false },
): RunNetwork {
  return {
    run: typeof run === 'string' ? run : run.path,
    checkpoint,
    sets: device === undefined ? sets : [...sets, `device=${device}`],
    measure,
  };
}

/** A scene whose images are read; its tensors belong to no scope. */
export interface LoadedImages {
  /** One a modality. */
  readonly images: readonly (ImageSource | null)[];
  readonly inputs: (Tensor | null)[];
  /** [height, width] of the prediction. */
  readonly size: [number, number];
}

/** A class that was found; `share` of all pixels. */
export interface FoundClass {
  index: number;
  name: string;
  share: number;
}

/** The network of a run in this thread, and what it is asked of scenes; `dispose` frees it. */
export class SceneNetwork {
  readonly config: Config;
  readonly view: InferenceView;
  readonly specs: readonly ModalitySpec[];
  readonly classes: readonly string[];
  readonly colours: readonly Colour[];
  readonly #networks: Networks;

  /**
   * @param onNote is told where it computes, where that was not plainly asked for
   * @throws RunError, CheckpointError, ConfigError by their codes
   */
  constructor({ run, checkpoint, sets, measure }: RunNetwork, onNote?: (text: string) => void) {
    const folder = RunFolder.open(run);
    this.config = prepareTorch(folder.config(sets), onNote, { asked: asksForDevice(sets) });
    this.specs = specsOf(this.config);
    this.classes = classNames(this.config);
    this.colours = paletteOf(this.config);
    const path = requireCheckpoint(folder, checkpoint);
    this.#networks = loadNetworks(path, this.config, this.classes.length).networks;
    this.view = optimizeForInference(answering(this.config, this.#networks).model, { measure });
  }

  dispose(): void {
    this.view.dispose();
    disposeNetworks(this.#networks);
  }

  /** @throws DataError of an image */
  async load(images: LoadedImages['images']): Promise<LoadedImages> {
    return { images, ...(await loadInputs(this.specs, images, loadingOf(this.config))) };
  }

  /** Scenes of one likeness can be segmented at once: the same modalities there, the same sizes. */
  likeness({ inputs, size }: LoadedImages): string {
    return `${size}|${inputs.map((input) => (input === null ? '-' : input.shape.slice(2)))}`;
  }

  /**
   * Of each of several scenes of one likeness the class of each pixel, [H, W], and where they are asked
   * for all probabilities, [K, H, W].
   */
  segment(
    scenes: readonly LoadedImages[],
    { probabilities }: { probabilities: boolean },
  ): { classes: Uint8Array; probabilities: Float32Array | null }[] {
    const [first] = scenes;
    return torch.scope(() =>
      torch.noGrad(() => {
        const inputs = first!.inputs.map(
          (input, m) => input && torch.cat(scenes.map((each) => each.inputs[m]!)),
        );
        const options = {
          ...predictionOf(this.config),
          ...{ size: first!.size, heads: ['ensemble'] as const },
        };
        const found = probabilities
          ? predictProbabilities(this.view, inputs, options)
          : { maps: predictClasses(this.view, inputs, options), probabilities: null };
        const values = found.probabilities && (ofEach(found.probabilities) as Float32Array[]);
        const maps = ofEach(found.maps[0]!.to('uint8')) as Uint8Array[];
        return maps.map((classes, i) => ({ classes, probabilities: values?.[i] ?? null }));
      }),
    );
  }

  /** RGB: the classes in colour over the first image that there is. */
  async overlay({ images, size }: LoadedImages, classes: Uint8Array): Promise<Uint8Array> {
    const at = images.findIndex((image) => image !== null);
    const plane = resizePlane(await readPlane(this.specs[at]!, images[at]!), ...size);
    return overlayPixels(classes, plane, this.colours);
  }

  /** Modalities that are not given, and what stands for them: null where nothing has to. */
  missing({ images }: LoadedImages): { missing: string[]; fill: string | null } {
    const missing = this.specs.flatMap(({ name }, m) => (images[m] === null ? [name] : []));
    const known = missing.length === 0 || this.view.hasMaskToken;
    return { missing, fill: known ? null : this.config.evaluate.fill };
  }

  /** The classes that were found, the largest first. */
  found(classes: Uint8Array): FoundClass[] {
    const counts = new Array<number>(this.classes.length).fill(0);
    for (const index of classes) counts[index]!++;
    return this.classes
      .map((name, index) => ({ index, name, share: counts[index]! / classes.length }))
      .filter(({ share }) => share > 0)
      .sort((a, b) => b.share - a.share);
  }
}

/** The values of each of a batch. */
function ofEach(batch: Tensor): torch.TypedArray[] {
  return batch
    .cpu()
    .unbind(0)
    .map((each) => each.toTypedArray());
}
