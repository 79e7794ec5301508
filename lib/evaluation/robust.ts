import { type Batch, type ModalitySpec, mixSeed } from '../data/index.js';
import { ALONE, type Peers } from '../learning/peers.js';
import { type Fill, headsOf, type SegmentationModel } from '../models/index.js';
import { evaluating } from '../nn/evaluating.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as torch from '../torch/index.js';
import { eachBatch } from './batches.js';
import { CaseMeasures, type FurtherMeasures, type Measured } from './case-measures.js';
import { EvaluationError } from './errors.js';
import { type MissingProtocol, missingName, missingSets } from './missing.js';
import { evaluateOptionsShape } from './rules.js';
import { type UsedViews, usedViews, type Views, viewsOf } from './views.js';

/** What `evaluateRobust` takes by name. */
export interface EvaluateOptions extends Views, FurtherMeasures {
  /** The networks to evaluate, by name. */
  models: Readonly<Record<string, SegmentationModel>>;
  /** Name of the one whose ensemble is the headline; the first where absent. */
  headline?: string;
  specs: readonly ModalitySpec[];
  /**
   * The set: inputs at the size to predict at, labels at their own (the predictions are resized to
   * them). The tensors pass to the evaluation, which disposes of them.
   */
  batches: AsyncIterable<Batch> | Iterable<Batch>;
  /** With whom the set is shared (nobody): each has other batches, and all get the result of the whole. */
  peers?: Peers;
  /** Images of the set before the first of `batches` (0). */
  first?: number;
  /** Which sets of missing modalities (`each`). */
  missing?: MissingProtocol;
  /** For models without a mask token (`zeros`). */
  fill?: Fill;
  /** Seed of the noise fill (0). */
  seed?: number;
  /** Predictions are resized to labels as the paper does it, corners aligned (false); see `classMap`. */
  alignCorners?: boolean;
  onProgress?: (imagesDone: number) => void;
  signal?: AbortSignal;
}

/** How one head does on one set of missing modalities. */
export interface CaseResult extends Measured {
  /** `all`, or which modalities are missing: `rgb missing`. */
  name: string;
  missing: string[];
}

/** What was measured of one head. */
export interface HeadResult {
  /** The modality whose head it is, or `ensemble`. */
  head: string;
  /** Mean mIoU over all modalities and each one missing; null where not all were evaluated. */
  robustMeanIoU: number | null;
  cases: CaseResult[];
}

/** What was measured of one network. */
export interface ModelResult {
  /** The network's name. */
  model: string;
  heads: HeadResult[];
}

/** What an evaluation found, with each modality missing too. */
export interface RobustResult {
  images: number;
  /** What stood for a missing modality; null where the mask token did. */
  fill: Fill | null;
  /** What predictions were averaged over; absent in reports of before it was told. */
  views?: UsedViews;
  /** The headline: the first model's ensemble. */
  robustMeanIoU: number | null;
  /** The headline's first. */
  models: ModelResult[];
}

/**
 * Robust mIoU (m3l.md section 8): every network, head and set of missing modalities over one pass
 * through the set. The models are in evaluation mode meanwhile and as they were afterwards.
 *
 * @throws EvaluationError M3L_NOTHING_TO_EVALUATE, M3L_LABEL_RANGE, M3L_MISSING_MODALITY,
 *   M3L_EVALUATION_STOPPED where another process failed
 */
export async function evaluateRobust(options: EvaluateOptions): Promise<RobustResult> {
  checkArguments('evaluateRobust', { options }, { options: evaluateOptionsShape });

  const { specs, missing = 'each', peers = ALONE } = options;
  const networks = networksOf(options);
  const sets = missingSets(missing, specs.length);
  const { calibration, boundary } = options;
  const measures = networks.map(({ model }) =>
    sets.map(
      () =>
        new CaseMeasures(model, headsOf(model).length, {
          device: deviceOf(model),
          calibration,
          boundary,
        }),
    ),
  );
  const restore = evaluating(networks.map(({ model }) => model));
  try {
    const images = await together(peers, measures.flat(), deviceOf(networks[0]!.model), () =>
      eachBatch({ ...options, mayBeEmpty: peers.worldSize > 1 }, (batch, before) =>
        addBatch(options, batch, before, networks, sets, measures),
      ),
    );
    const models = networks.map(
      ({ name, model }, n): ModelResult => ({
        model: name,
        heads: headsOf(model).map((head, h) => {
          const cases = sets.map(
            (set, s): CaseResult => ({
              name: missingName(set, specs),
              missing: set.map((index) => specs[index]!.name),
              ...measures[n]![s]!.of(h),
            }),
          );
          const named = head === 'ensemble' ? head : specs[head]!.name;
          return { head: named, robustMeanIoU: robustMean(sets, cases, specs.length), cases };
        }),
      }),
    );
    return {
      images,
      fill: networks.every(({ model }) => model.hasMaskToken) ? null : (options.fill ?? 'zeros'),
      views: usedViews(options),
      robustMeanIoU: models[0]!.heads.at(-1)!.robustMeanIoU,
      models,
    };
  } finally {
    restore();
    for (const each of measures.flat()) each.dispose();
  }
}

interface Network {
  name: string;
  model: SegmentationModel;
}

/** The headline's first, the others in their order. */
function networksOf({ models, headline, specs }: EvaluateOptions): Network[] {
  const all = Object.entries(models).map(([name, model]) => ({ name, model }));
  const first = headline === undefined ? all[0] : all.find(({ name }) => name === headline);
  const fail = (message: string): never => {
    throw new EvaluationError('M3L_EVALUATION_MODEL', message);
  };
  if (!first) {
    const found = all.map(({ name }) => name).join(', ') || 'none';
    return fail(`the models are ${found}: expected ${headline ?? 'at least one'} among them.`);
  }
  const networks = [first, ...all.filter((network) => network !== first)];
  const foreign = networks.find(({ model }) => model.modalities !== specs.length);
  if (foreign) {
    fail(
      `the ${foreign.name} takes ${foreign.model.modalities} modalities, the data have ` +
        `${specs.length}: expected as many.`,
    );
  }
  return networks;
}

/**
 * Adds up what all processes have measured; how many images they had. Where one of them fails, or is asked to
 * stop, so do the others.
 * @throws EvaluationError M3L_EVALUATION_STOPPED
 */
async function together(
  { group }: Peers,
  measures: readonly CaseMeasures[],
  device: string,
  measure: () => Promise<number>,
): Promise<number> {
  if (group === null) return measure();
  const own = await measure()
    .then((images) => {
      for (const each of measures) each.check();
      return images;
    })
    .catch((error: unknown) => ({ error }));
  const found = typeof own === 'number' ? [own, 0] : [0, 1];
  const [images, failed] = torch.scope(() => {
    const all = torch.tensor(Float64Array.from(found), { device });
    group.allReduce(all, 'sum');
    return all.toTypedArray() as Float64Array;
  });
  if (typeof own !== 'number') throw own.error;
  if (failed! > 0) {
    throw new EvaluationError(
      'M3L_EVALUATION_STOPPED',
      'another process stopped its part of the evaluation. It says why.',
    );
  }
  for (const each of measures) each.share(group);
  return images!;
}

/** All cases of all networks on one batch. */
function addBatch(
  options: EvaluateOptions,
  batch: Batch,
  index: number,
  networks: readonly Network[],
  sets: readonly number[][],
  measures: readonly (readonly CaseMeasures[])[],
): void {
  const { specs, fill, seed = 0, alignCorners } = options;
  const asked = { specs, fill, alignCorners, ...viewsOf(options) };
  if (!batch.labels) throw withoutLabels(batch);
  const size = batch.labels.shape.slice(1);
  for (const [n, { model }] of networks.entries()) {
    const device = deviceOf(model);
    const inputs = batch.modalities.map((input) => input.to({ device }));
    const labels = batch.labels.to({ device });
    for (const [s, missing] of sets.entries()) {
      // One case at a time: its activations go before the next one makes its own.
      torch.scope(() => {
        const noise = mixSeed(seed, index);
        measures[n]![s]!.add(inputs, labels, { ...asked, missing, seed: noise, size });
      });
    }
  }
}

/** The mean over nothing missing and each modality missing by itself, where all were evaluated. */
function robustMean(
  sets: readonly number[][],
  cases: readonly CaseResult[],
  modalities: number,
): number | null {
  const single = modalities === 1 ? [] : Array.from({ length: modalities }, (_, index) => [index]);
  const wanted = [[], ...single].map((missing) => missing.join());
  const found = wanted.map((key) => cases[sets.findIndex((set) => set.join() === key)]);
  if (found.some((result) => result === undefined)) return null;
  return found.reduce((total, result) => total + result!.meanIoU, 0) / found.length;
}

function deviceOf(model: SegmentationModel): string {
  return model.parameters()[0]!.device;
}

function withoutLabels({ names }: Batch): EvaluationError {
  return new EvaluationError(
    'M3L_NO_LABELS',
    `${names.join(', ')}: no labels to evaluate against. Give a list with a label column.`,
  );
}
