import { z } from 'zod';
import type { LearningOptions } from '../learning/index.js';

export const FRAMEWORKS = [
  'supervised',
  'supervised-modality-dropout',
  'mean-teacher',
  'mean-teacher-modality-dropout',
  'm3l',
] as const;

export const MODELS = ['linear-fusion', 'segformer'] as const;

export const BACKBONES = ['mit-b0', 'mit-b1', 'mit-b2', 'mit-b3', 'mit-b4', 'mit-b5'] as const;

/** A short form (`framework: m3l`, `size: 128`) stands for an object or a pair. */
function shorthand<Schema extends z.ZodType>(expand: (value: unknown) => unknown, schema: Schema) {
  return z.preprocess(expand, schema);
}

const count = z.int().positive();
const countOrNone = z.int().nonnegative();
const share = z.number().min(0).max(1);

/** [height, width]; one number stands for a square. */
const size = shorthand(
  (value) => (typeof value === 'number' ? [value, value] : value),
  z.tuple([count, count]),
);

/** A list file, and which of its samples to take. */
const list = shorthand(
  (value) => (typeof value === 'string' ? { file: value } : value),
  z.strictObject({
    file: z.string(),
    /** How many samples to take; all where absent. */
    count: count.optional(),
    /** `first` N of the list, or N evenly `spread` over it (sample floor((i + 0.5)·length/N)). */
    choose: z.enum(['first', 'spread']).default('first'),
    /** Takes exactly these samples, named as in the list's first column. */
    names: z.array(z.string()).min(1).optional(),
  }),
);

/** One number, or one each of red, green and blue. */
const perChannel = (number: z.ZodNumber) =>
  z.union([number, z.array(number).length(3)], 'expected one number, or three in a list');

/** `depth` is any one-channel image; `invalid` is the raw value that means "nothing measured". */
const modality = shorthand(
  (value) => (typeof value === 'string' ? { kind: value } : value),
  z.strictObject({
    kind: z.enum(['rgb', 'depth']),
    invalid: countOrNone.optional(),
    /** After the scaling to [0, 1]: ImageNet's for rgb, 0 and 1 for depth where absent. */
    mean: perChannel(z.number()).optional(),
    std: perChannel(z.number().positive()).optional(),
    /** Training samples' values v of [0, 1] become gain · v + offset, each drawn; see Jitter. */
    jitter: z
      .strictObject({
        gain: z.number().nonnegative().optional(),
        offset: z.number().nonnegative().optional(),
      })
      .optional(),
  }),
);

const rooms = z.strictObject({
  labelled: count.default(8),
  unlabelled: countOrNone.default(64),
  val: count.default(32),
  size: size.prefault([96, 128]),
  seed: countOrNone.default(1),
  /** How often furniture wears the look of what is around it: higher makes RGB alone weaker. */
  camouflage: share.default(0.4),
  /** How often a thing wears the colour typical of its kind: higher makes RGB alone stronger. */
  typicalColours: share.default(0),
  /** Multiplies noise and holes of the depth sensor. */
  depthNoise: z.number().nonnegative().default(1),
});

const data = z.strictObject({
  /** Procedural rooms instead of files: generated once, then kept in the cache. */
  rooms: rooms.optional(),
  /** Folder of images and lists. Relative paths are relative to the configuration file. */
  root: z.string().optional(),
  lists: z.strictObject({ labelled: list, unlabelled: list.optional(), val: list }).optional(),
  /**
   * Where the lists hold bare names: each modality's file (and `label`'s) with `{name}` in it.
   * Without it, a list line is tab-separated: one column a modality, in order, then the label.
   */
  files: z.record(z.string(), z.string()).optional(),
  modalities: z.record(z.string(), modality).prefault({ rgb: 'rgb', depth: 'depth' }),
  /** Class names, or how many there are. */
  classes: shorthand(
    (value) =>
      typeof value === 'number' && Number.isInteger(value) && value > 0
        ? Array.from({ length: value }, (_, index) => `class ${index}`)
        : value,
    z.array(z.string()).min(2),
  ).optional(),
  /** Subtracted from the raw labels; raw values below it become void (SUN RGB-D: 1). */
  labelOffset: z.int().default(0),
  /** Every image is first resized to this; absent: as it is. */
  resize: size.optional(),
  crop: size.prefault([540, 540]),
  /** Inputs are resized to this for evaluation and prediction; absent: the crop size. */
  evaluationSize: size.optional(),
  flip: share.default(0.5),
  scales: z.array(z.number().positive()).min(1).default([0.5, 0.75, 1, 1.5, 1.75, 2]),
  /**
   * Where training pictures are cropped, scaled, flipped and normalised: by the `worker` threads that
   * decode them, or on the `device`, to which the stored pixels then travel. The same batches up to
   * rounding. Absent: `worker` on the CPU, `device` on a GPU.
   */
  augmentOn: z.enum(['worker', 'device']).optional(),
});

const model = shorthand(
  (value) => (typeof value === 'string' ? { name: value } : value),
  z.strictObject({
    name: z.enum(MODELS).default('linear-fusion'),
    backbone: z.enum(BACKBONES).default('mit-b2'),
    /** A learned token for missing modalities; absent: as the framework needs it. */
    maskToken: z.boolean().optional(),
    /** Standard deviation of its initial values. */
    maskTokenStd: z.number().nonnegative().default(1),
    fusionRatio: share.default(0.8),
    dropPath: share.default(0.1),
    dropout: share.default(0.1),
    /** A safetensors file of encoder weights to start from. */
    pretrained: z.string().optional(),
  }),
);

const framework = shorthand(
  (value) => (typeof value === 'string' ? { name: value } : value),
  z.strictObject({
    name: z.enum(FRAMEWORKS).default('m3l'),
    /** `paper` keeps the quirks that m3l.md section 5 lists; `default` mends them. */
    fidelity: z.enum(['paper', 'default']).default('default'),
    // What follows overrides single points of the fidelity's preset: see LearningOptions.
    teacherMode: z.enum(['eval', 'train']).optional(),
    alpha: z.enum(['untrained', 'trained', 'fixed']).optional(),
    pseudoOnPadding: z.boolean().optional(),
    confidenceThreshold: share.nullable().optional(),
    /** Weight of the pseudo-label loss. */
    lambda: z.number().nonnegative().optional(),
    /** Iterations over which it rises from 0. */
    lambdaWarmup: countOrNone.optional(),
    ohem: z
      .strictObject({
        threshold: share.optional(),
        minKeptFraction: share.optional(),
        minKept: count.optional(),
      })
      .optional(),
    maskingRatio: share.optional(),
    /** How often a masked sample loses each modality, or `none`: relative, 1 where not given. */
    maskWeights: z.record(z.string(), z.number().nonnegative()).optional(),
    fill: z.enum(['zeros', 'noise', 'mean']).optional(),
    emaDecay: share.optional(),
    freezeBatchNorm: z.boolean().optional(),
    reportTeacherLoss: z.boolean().optional(),
  }),
);

const optimiser = z.strictObject({
  name: z.enum(['adamw', 'sgd']).default('adamw'),
  encoderLr: z.number().positive().default(1e-4),
  decoderLr: z.number().positive().default(3e-4),
  weightDecay: z.number().nonnegative().default(1e-4),
});

const schedule = z.strictObject({
  name: z.enum(['poly', 'constant']).default('poly'),
  power: z.number().positive().default(0.9),
  /** Iterations over which the rates rise to their full value. */
  warmup: countOrNone.default(0),
});

const evaluate = z.strictObject({
  /** Iterations between evaluations; 0: only at the end. */
  every: countOrNone.default(0),
  batch: count.default(4),
  /** What stands for a missing modality in a model without mask token. */
  fill: z.enum(['zeros', 'noise', 'mean']).default('zeros'),
  /** Evaluates every non-empty set of modalities, not only all and each one missing. */
  subsets: z.boolean().default(false),
  /** Rows of the contact sheet; 0: none is drawn. */
  samples: countOrNone.default(4),
});

const checkpoint = z.strictObject({
  /** Iterations between checkpoints; 0: only at the end. */
  every: countOrNone.default(500),
  /** How many of the latest to keep (the best one is kept besides). */
  keep: count.default(2),
});

export const configSchema = z.strictObject({
  /** Names the run folder; absent: the configuration file's name. */
  name: z
    .string()
    .regex(/^[\w.-]+$/, 'expected letters, digits, dots, dashes or underscores')
    .optional(),
  data,
  model: model.prefault({}),
  framework: framework.prefault({}),
  optimiser: optimiser.prefault({}),
  schedule: schedule.prefault({}),
  iterations: count.default(15_370),
  batch: z
    .strictObject({ labelled: count.default(16), unlabelled: countOrNone.default(16) })
    .prefault({}),
  evaluate: evaluate.prefault({}),
  checkpoint: checkpoint.prefault({}),
  seed: countOrNone.default(1),
  device: z
    .string()
    .regex(/^(cpu|cuda(:\d+)?)$/, "expected 'cpu', 'cuda' or 'cuda:N'")
    .default('cpu'),
  /**
   * What networks compute products in. `bfloat16`: by autocast, weights and sums stay float32; `tf32`:
   * float32 with TF32 products on a CUDA device, `float32` elsewhere.
   */
  precision: z.enum(['float32', 'tf32', 'bfloat16']).default('float32'),
  /** Lay the weights of convolutions out channels-last, as the activations are. */
  channelsLast: z.boolean().default(false),
  /**
   * On a CUDA device: record the training step as CUDA graphs and replay them, which spares the time of
   * launching its kernels one by one. The same numbers.
   */
  cudaGraph: z.boolean().default(false),
  /** Threads that libtorch computes with; absent: its own choice. */
  threads: count.optional(),
  /** Worker threads that load images; 0: the main thread does. */
  workers: countOrNone.default(1),
});

type Checked = z.output<typeof configSchema>;

/** A checked configuration with every default filled in. */
export type Config = Omit<Checked, 'framework'> & {
  name: string;
  framework: LearningOptions & Pick<Checked['framework'], 'name' | 'fidelity'>;
};
export type ListConfig = z.output<typeof list>;
export type RoomsConfig = z.output<typeof rooms>;

/** Frameworks that mask modalities while training, and so need a mask token. */
export function needsMaskToken(name: Config['framework']['name']): boolean {
  return name === 'm3l' || name.endsWith('modality-dropout');
}

/** Frameworks whose student also sees unlabelled images. */
export function isSemiSupervised(name: Config['framework']['name']): boolean {
  return !name.startsWith('supervised');
}
