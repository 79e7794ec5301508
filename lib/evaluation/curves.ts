import { type Batch, type ModalitySpec, mixSeed } from '../data/index.js';
import type { Fill, Predictor, SegmentationModel } from '../models/index.js';
import { evaluating } from '../nn/evaluating.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { eachBatch } from './batches.js';
import { ConfusionMatrix } from './confusion-matrix.js';
import { type Corrupted, type Corruption, corruptions } from './corruptions.js';
import { EvaluationError } from './errors.js';
import { predictClasses } from './predict.js';
import { curvesOptionsShape } from './rules.js';
import { type Views, viewsOf } from './views.js';

/** What `evaluateCurves` takes by name. */
export interface CurvesOptions extends Views {
  model: SegmentationModel;
  specs: readonly ModalitySpec[];
  /** As in `EvaluateOptions`. */
  batches: AsyncIterable<Batch> | Iterable<Batch>;
  /** Names of corruptions; all that the model and the data allow where absent. */
  kinds?: readonly string[] | undefined;
  /** How many severities beside 0, evenly up to 1 (5). */
  levels?: number | undefined;
  fill?: Fill;
  seed?: number;
  alignCorners?: boolean;
  onProgress?: (imagesDone: number) => void;
  signal?: AbortSignal | undefined;
}

/** How a model falls off as its inputs get worse. */
export interface Curve {
  corruption: string;
  /** The modalities that are spoilt. */
  modalities: string[];
  /** What a severity of 1 is. */
  worst: string;
  /** Of the ensemble, from severity 0, where nothing is spoilt. */
  points: { severity: number; meanIoU: number }[];
}

/** mIoU at each level of each corruption; plain JSON. */
export interface CurvesResult {
  images: number;
  curves: Curve[];
}

/** A corruption of some modalities. */
interface Spoiling {
  corruption: Corruption;
  target: readonly number[];
}

/**
 * Robustness curves: mIoU of a model's ensemble on a set whose inputs are spoilt more and more, one kind
 * of corruption at a time. What is drawn is the same at each severity of an image. One pass through the set.
 *
 * @throws EvaluationError M3L_CORRUPTION, M3L_NOTHING_TO_EVALUATE, M3L_LABEL_RANGE
 */
export async function evaluateCurves(options: CurvesOptions): Promise<CurvesResult> {
  checkArguments('evaluateCurves', { options }, { options: curvesOptionsShape });

  const { model, specs, levels = 5 } = options;
  const spoilings = spoilingsOf(options);
  const { device } = model.parameters()[0]!;
  const matrix = () => new ConfusionMatrix(model.numClasses, { device });
  const clean = matrix();
  const tables = spoilings.map(() => Array.from({ length: levels }, matrix));
  const restore = evaluating([model]);
  try {
    const images = await eachBatch(options, (batch, before) =>
      addBatch(options, batch, before, spoilings, { clean, tables }),
    );
    const start = { severity: 0, meanIoU: clean.metrics().meanIoU };
    const curves = spoilings.map(({ corruption, target }, s): Curve => {
      const points = tables[s]!.map((table, level) => ({
        severity: (level + 1) / levels,
        meanIoU: table.metrics().meanIoU,
      }));
      return {
        corruption: corruption.name,
        modalities: target.map((m) => specs[m]!.name),
        worst: corruption.summary,
        points: [start, ...points],
      };
    });
    return { images, curves };
  } finally {
    restore();
    for (const each of [clean, ...tables.flat()]) each.dispose();
  }
}

function spoilingsOf({ model, specs, kinds }: CurvesOptions): Spoiling[] {
  const fail = (message: string): never => {
    throw new EvaluationError('M3L_CORRUPTION', message);
  };
  const known = corruptions.map(({ name }) => name).join(', ');
  const possible = corruptions.flatMap((corruption) =>
    corruption.masks && !model.hasMaskToken
      ? []
      : corruption.targets(specs).map((target) => ({ corruption, target })),
  );
  if (kinds === undefined) return possible;
  return kinds.flatMap((kind) => {
    if (!corruptions.some(({ name }) => name === kind)) {
      fail(`found the corruption '${kind}', expected ${known}.`);
    }
    const own = possible.filter(({ corruption }) => corruption.name === kind);
    if (own.length > 0) return own;
    const names = specs.map(({ name }) => name).join(', ');
    const token = model.hasMaskToken ? 'has a mask token' : 'has no mask token';
    return fail(
      `'${kind}' can spoil none of the modalities (${names}) of this model, which ${token}. Leave it out.`,
    );
  });
}

function addBatch(
  options: CurvesOptions,
  batch: Batch,
  index: number,
  spoilings: readonly Spoiling[],
  { clean, tables }: { clean: ConfusionMatrix; tables: readonly (readonly ConfusionMatrix[])[] },
): void {
  const { model, specs, seed = 0, fill, alignCorners } = options;
  if (!batch.labels) {
    throw new EvaluationError(
      'M3L_NO_LABELS',
      `${batch.names.join(', ')}: no labels to evaluate against. Give a list with a label column.`,
    );
  }
  const { device } = model.parameters()[0]!;
  const inputs = batch.modalities.map((input) => input.to({ device }));
  const labels = batch.labels.to({ device });
  const size = labels.shape.slice(1);
  const add = (matrix: ConfusionMatrix, { inputs: given, masking }: Corrupted) => {
    const predictor = masking ? masked(model, masking, mixSeed(seed, index, 1)) : model;
    const asked = { specs, fill, size, alignCorners, ...viewsOf(options) };
    matrix.add(predictClasses(predictor, given, { ...asked, heads: ['ensemble'] })[0]!, labels);
  };
  torch.scope(() => add(clean, { inputs }));
  for (const [s, { corruption, target }] of spoilings.entries()) {
    for (const [level, matrix] of tables[s]!.entries()) {
      torch.scope(() => {
        const generator = new torch.Generator(device).manualSeed(mixSeed(seed, index));
        const severity = (level + 1) / tables[s]!.length;
        add(matrix, corruption.apply(inputs, severity, { specs, target, generator }));
      });
    }
  }
}

/** The model with a share of a modality's tokens masked. */
function masked(
  model: Predictor,
  { modality, ratio }: NonNullable<Corrupted['masking']>,
  seed: number,
): Predictor {
  const { modalities, numClasses, hasMaskToken, leastSide } = model;
  const withMask = (inputs: readonly (Tensor | null)[]) => {
    const { shape, device } = inputs.find((input) => input !== null)!;
    return {
      masked: new Array<number>(shape[0]!).fill(modality),
      maskingRatio: ratio,
      generator: new torch.Generator(device).manualSeed(seed),
    };
  };
  return {
    modalities,
    numClasses,
    hasMaskToken,
    leastSide,
    forward: (inputs, options) => model.forward(inputs, { ...options, ...withMask(inputs) }),
    forwardHeads: (inputs, heads, options) =>
      model.forwardHeads(inputs, heads, { ...options, ...withMask(inputs) }),
  };
}
