import { z } from 'zod';
import { CHANNELS, KIND_NAMES, KINDS } from '../../data/index.js';
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

/** NaN and infinities never count as measured: named, they change nothing. */
const rawValues = shorthand(
  (value) => {
    const all = Array.isArray(value) ? value : [value];
    const finite = all.filter((one) => typeof one !== 'number' || Number.isFinite(one));
    return finite.length === 1 ? finite[0] : finite;
  },
  z.union([z.number(), z.array(z.number()).max(16)], 'expected a number, or up to 16 in a list'),
);

const kinds = KIND_NAMES.map((name) => `${name}: ${KINDS[name].description}`).join('; ');

const modality = shorthand(
  (value) => (typeof value === 'string' ? { kind: value } : value),
  z.strictObject({
    kind: z.enum(KIND_NAMES).describe(`What the values mean. ${kinds}.`),
    channel: z
      .union([z.enum(CHANNELS), countOrNone.max(63)], 'expected a colour, alpha or an index from 0')
      .optional()
      .describe(
        'The channel of a colour image that a modality of one channel is: red, green, blue, alpha, ' +
          'or an index from 0. Several modalities may be channels of one file.',
      ),
    invalid: rawValues
      .optional()
      .describe(
        'Raw value of depth, or values in a list, that mean "nothing measured". NaN and infinities ' +
          'always do.',
      ),
    range: z
      .tuple([z.number(), z.number()], 'expected [least, greatest]')
      .optional()
      .describe(
        'Least and greatest value, in units of raw · scale, that become 0 and 1; values beyond ' +
          'clamp. Absent: for depth those of each image, which outliers rule; for rgb and grey the ' +
          'whole range of the stored type.',
      ),
    scale: z
      .number()
      .positive()
      .optional()
      .describe("The unit of 'range', of a raw value: 0.001 for metres of millimetres. Default 1."),
    mean: perChannel(z.number())
      .optional()
      .describe(
        "Subtracted after the scaling to [0, 1]. Absent: ImageNet's for rgb, 0.449 for grey, 0 for " +
          'depth.',
      ),
    std: perChannel(z.number().positive())
      .optional()
      .describe("Divided by then. Absent: ImageNet's for rgb, 0.226 for grey, 1 for depth."),
    jitter: z
      .strictObject({
        gain: z
          .number()
          .nonnegative()
          .optional()
          .describe('The gain is drawn from 1 / (1 + gain) to 1 + gain. Default 0.'),
        offset: z
          .number()
          .nonnegative()
          .optional()
          .describe('The offset is drawn from −offset to offset; of depth alone. Default 0.'),
      })
      .optional()
      .describe("Training samples' values v of [0, 1] become gain · v + offset, each drawn."),
  }),
);

const rawLabel = z.union([z.int(), z.string()]);

/** What raw label values mean; see `LabelOptions`. */
const labels = z.strictObject({
  map: z
    .record(z.string(), rawLabel)
    .optional()
    .describe(
      'The class (index, name or void) of raw values or of colours: { 255: 1 }, ' +
        "{ '#ff0000': road, '0,0,255': 2 }. Values that are not listed are classes themselves, " +
        'unless another value is listed for that class, which is an error; colours that are not ' +
        'listed are one.',
    ),
  void: z
    .union([z.literal('others'), z.array(rawLabel)], "expected a list of raw values, or 'others'")
    .optional()
    .describe(
      'Raw values or colours that take no part in training and evaluation, beside 255; others: all ' +
        'that map does not list.',
    ),
});

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
  labelOffset: countOrNone
    .default(0)
    .describe(
      'Subtracted from the raw labels that labels.map does not list; those below it are void ' +
        '(SUN RGB-D: 1).',
    ),
  labels: labels.optional().describe('Which class other raw label values are, or colours.'),
  resize: size
    .optional()
    .describe(
      'Every image is first resized to this, and training labels with it. Absent: as it is.',
    ),
  align: z
    .string()
    .optional()
    .describe(
      'Without resize: the modality whose size the others, and training labels, are brought to. ' +
        'Absent: the sizes of a scene must agree.',
    ),
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
