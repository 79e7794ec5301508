import { z } from 'zod';
import { count, countOrNone, share, shorthand, size } from './schema-parts.js';

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

export const data = z.strictObject({
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
  /**
   * Inputs are resized to this for evaluation and prediction; absent: they keep their size and aspect
   * (`framework.fidelity: paper`: the crop size).
   */
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

export type ListConfig = z.output<typeof list>;
export type RoomsConfig = z.output<typeof rooms>;
