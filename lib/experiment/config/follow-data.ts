import { TRAINING_SCALES } from '../../data/index.js';
import { modelNamed } from '../../models/index.js';
import type { Config, SettledConfig } from './schema.js';
import { isRecord } from './shape.js';

/** What is known of a run's data when the open keys of its configuration are chosen. */
export interface DataFacts {
  /** Images with labels to train on. */
  labelled: number;
  /** Images to train on without labels; 0 where there is no list of them. */
  unlabelled: number;
  /** Different images in both. */
  images: number;
  /** [height, width] of the training images as they are cropped, the median of each. */
  size: readonly [number, number];
}

/** A key that was chosen: what for, and by which rule. */
export interface Choice {
  key: string;
  value: unknown;
  why: string;
}

/** What a rule chooses by. */
interface Situation extends DataFacts {
  /** With all that the rules before it have chosen. */
  config: SettledConfig;
  /** No weights to start from. */
  scratch: boolean;
}

interface Rule {
  path: readonly [string, ...string[]];
  /** The paper's, or what fits any data. */
  constant: unknown;
  choose(situation: Situation): { value: unknown; why: string };
}

/** Crops of this side at most, and of a multiple of `STEP`. */
const LARGEST_CROP = 480;
const STEP = 32;
const LARGEST_BATCH = 8;

const SCRATCH = 'from scratch';
const START = 'from trained weights';

const rates = (scratch: number, start: number) => (situation: Situation) => {
  if (situation.config.optimiser.name !== 'adamw') return { value: start / 3, why: 'as for AdamW' };
  return situation.scratch ? { value: scratch, why: SCRATCH } : { value: start, why: START };
};

const batchOf = (key: 'labelled' | 'unlabelled') => (facts: Situation) => ({
  value: Math.max(1, Math.min(LARGEST_BATCH, facts[key])),
  why: `at most ${LARGEST_BATCH} of ${facts[key]} ${key} images`,
});

/** In the order in which they are asked: later ones see what earlier ones have chosen. */
const RULES: readonly Rule[] = [
  {
    path: ['data', 'crop'],
    constant: [540, 540],
    choose: ({ config, size: [height, width] }) => {
      const { leastSide } = modelNamed(config.model.name);
      const side = Math.min(height, width, LARGEST_CROP);
      const crop = Math.max(STEP, leastSide, STEP * Math.floor(side / STEP));
      return { value: [crop, crop], why: `images of ${width} × ${height}` };
    },
  },
  {
    path: ['data', 'scales'],
    constant: TRAINING_SCALES,
    choose: ({ config, size }) => {
      const [side, crop] = [Math.min(...size), Math.max(...config.data.crop)];
      // Larger ones show too little of a scene to tell what is what.
      const seen = TRAINING_SCALES.filter((scale) => scale <= 1 || scale * side <= 2 * crop);
      const fitting = seen.filter((scale) => scale >= 1 || scale * side >= 0.75 * crop);
      return {
        value: fitting,
        why: 'an image fills three quarters of a crop, and a crop half of an image',
      };
    },
  },
  {
    path: ['data', 'cropMostOneClass'],
    constant: null,
    choose: () => ({ value: 0.75, why: 'rare classes are met more often' }),
  },
  {
    path: ['optimiser', 'encoderLr'],
    constant: 1e-4,
    choose: rates(6e-4, 3e-4),
  },
  {
    path: ['optimiser', 'decoderLr'],
    constant: 3e-4,
    choose: rates(1.8e-3, 9e-4),
  },
  {
    path: ['iterations'],
    constant: 15_370,
    choose: ({ images }) => {
      const wanted = 500 * Math.round((2000 * Math.sqrt(images / 50)) / 500);
      return { value: Math.min(Math.max(2000, wanted), 15_000), why: `${images} images` };
    },
  },
  {
    path: ['schedule', 'warmup'],
    constant: 0,
    choose: ({ config, scratch }) => {
      const share = scratch ? 0.05 : 0.02;
      const value = Math.min(500, Math.floor(share * config.iterations));
      return { value, why: `${100 * share} % of the iterations, ${scratch ? SCRATCH : START}` };
    },
  },
  { path: ['batch', 'labelled'], constant: 16, choose: batchOf('labelled') },
  { path: ['batch', 'unlabelled'], constant: 16, choose: batchOf('unlabelled') },
  {
    path: ['evaluate', 'every'],
    constant: 0,
    choose: ({ config }) => ({
      value: 100 * Math.floor(config.iterations / 400),
      why: 'four times',
    }),
  },
];

/** Of models that have a mask token. */
const MASK_TOKEN: Rule = {
  path: ['model', 'maskTokenStd'],
  constant: 1,
  choose: ({ scratch }) => ({ value: scratch ? 0.02 : 1, why: scratch ? SCRATCH : START }),
};

function rulesFor({ model }: Config): readonly Rule[] {
  const has = Object.hasOwn(modelNamed(model.name).options.shape, 'maskTokenStd');
  return has ? [...RULES, MASK_TOKEN] : RULES;
}

/** Whether something is open that follows the data or the start. */
export function isSettled(config: Config): config is SettledConfig {
  return rulesFor(config).every(({ path }) => valueAt(config, path) !== undefined);
}

/**
 * The configuration with its open keys as `from` has them or else as the paper has, whatever the
 * data: what a run's own configuration means that was written before a key was there.
 */
export function completed(config: Config, from?: Config): SettledConfig {
  const settled = rulesFor(config).reduce((filled, { path, constant }) => {
    if (valueAt(filled, path) !== undefined) return filled;
    const taken = from && valueAt(from, path);
    return withValue(filled, path, taken === undefined ? constant : taken);
  }, config) as SettledConfig;
  if (from === undefined) return settled;
  const { classWeights } = from.framework;
  // A rule that the run has counted by means what it found.
  const counted =
    typeof settled.framework.classWeights === 'string' && Array.isArray(classWeights)
      ? withValue(settled, ['framework', 'classWeights'], classWeights)
      : settled;
  const modalities = Object.entries(settled.data.modalities).map(([name, modality]) => {
    const { mean, std } = from.data.modalities[name] ?? {};
    const measured = {
      ...(mean === undefined ? {} : { mean }),
      ...(std === undefined ? {} : { std }),
    };
    return [name, { ...measured, ...modality }];
  });
  return withValue(counted, ['data', 'modalities'], Object.fromEntries(modalities));
}

/**
 * Chooses the open keys of a configuration by its data, by the rules that docs/configuration.md
 * tells; with `fidelity: paper`, as the paper has them. The rules are of thumb. They look neither at the
 * framework nor at the seed, so that runs which are compared differ in nothing else.
 *
 * @returns what was chosen too, without what `fidelity: paper` says
 */
export function followData(
  config: Config,
  facts: DataFacts,
): { config: SettledConfig; chosen: Choice[] } {
  if (config.framework.fidelity === 'paper') return { config: completed(config), chosen: [] };
  const { pretrained = 'none' } = config.model;
  const scratch = pretrained === 'none' && config.initialise === undefined;
  const chosen: Choice[] = [];
  const settled = rulesFor(config).reduce((filled, { path, choose }) => {
    if (valueAt(filled, path) !== undefined) return filled;
    const { value, why } = choose({ ...facts, scratch, config: filled as SettledConfig });
    chosen.push({ key: path.join('.'), value, why });
    return withValue(filled, path, value);
  }, config);
  return { config: settled as SettledConfig, chosen };
}

function valueAt(record: object, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), record);
}

function withValue<Kind extends object>(
  record: Kind,
  [key, ...rest]: readonly [string, ...string[]],
  value: unknown,
): Kind {
  const [next, ...deeper] = rest;
  const inner = (record as Record<string, unknown>)[key];
  if (next === undefined) return { ...record, [key]: value };
  return { ...record, [key]: withValue((inner ?? {}) as object, [next, ...deeper], value) };
}
