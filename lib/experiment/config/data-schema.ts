import { z } from 'zod';
import { CHANNELS, KIND_NAMES, KINDS } from '../../data/index.js';
import {
  count,
  countOrNone,
  factor,
  type KeyMeta,
  path,
  seed,
  share,
  shorthand,
  size,
  text,
} from './schema-parts.js';

/** Labels are bytes, and 255 is void. */
const MOST_CLASSES = 255;

const list = shorthand(
  (value) => (typeof value === 'string' ? { file: value } : value),
  z.strictObject({
    file: text
      .meta({ path: 'list' } satisfies KeyMeta)
      .describe('Relative to `data.root`; by `--set`, to the current folder where it is there.'),
    count: count.optional().describe('How many samples to take; absent: all.'),
    choose: z
      .enum(['first', 'spread'])
      .default('first')
      .describe('The `first` of the list, or `spread` evenly over it.'),
    names: z
      .array(text)
      .min(1)
      .max(100_000)
      .optional()
      .describe("Takes exactly these samples, named as in the list's first column."),
  }),
);

/** One number, or one each of red, green and blue. */
const perChannel = (number: z.ZodNumber) =>
  z.union([number, z.array(number).length(3)], 'expected one number, or three in a list');

/** Of any stored type. */
const raw = z.number().min(-1e38).max(1e38);

/** NaN and infinities never count as measured: named, they change nothing. */
const rawValues = shorthand(
  (value) => {
    const all = Array.isArray(value) ? value : [value];
    const finite = all.filter((one) => typeof one !== 'number' || Number.isFinite(one));
    return finite.length === 1 ? finite[0] : finite;
  },
  z.union([raw, z.array(raw).max(16)], 'expected a number, or up to 16 in a list'),
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
      .tuple([raw, raw], 'expected [least, greatest]')
      .optional()
      .describe(
        'Least and greatest value, in units of raw · scale, that become 0 and 1; values beyond ' +
          'clamp. Absent: for depth those of each image, which outliers rule; for rgb and grey the ' +
          'whole range of the stored type.',
      ),
    scale: z
      .number()
      .positive()
      .max(1e9)
      .optional()
      .describe("The unit of 'range', of a raw value: 0.001 for metres of millimetres. Default 1."),
    mean: perChannel(z.number().min(-1e6).max(1e6))
      .optional()
      .describe(
        "Subtracted after the scaling to [0, 1]. Absent: ImageNet's for rgb; for grey and depth " +
          'measured on up to 200 images of each training list (`framework.fidelity: paper`: 0.449 and 0).',
      ),
    std: perChannel(z.number().positive().max(1e6))
      .optional()
      .describe(
        "Divided by then. Absent: ImageNet's for rgb; for grey and depth measured " +
          '(`framework.fidelity: paper`: 0.226 and 1).',
      ),
    jitter: z
      .strictObject({
        gain: factor
          .optional()
          .describe('The gain is drawn from 1 / (1 + gain) to 1 + gain. Default 0.'),
        offset: factor
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
  labelled: count.max(1e6).default(8).describe('Rooms with labels to train on.'),
  unlabelled: countOrNone.max(1e6).default(64).describe('Rooms without labels to train on.'),
  val: count.max(1e6).default(32).describe('Rooms with labels to evaluate on.'),
  test: countOrNone
    .max(100_000)
    .default(0)
    .describe('Further rooms with labels, that nothing is chosen by; see `data.lists.test`.'),
  size: size.prefault([96, 128]).describe('Of the pictures, [height, width].'),
  seed: seed.default(1).describe('The same seed gives the same rooms.'),
  camouflage: share
    .default(0.4)
    .describe('How often furniture wears the look of what is around it: RGB alone says less.'),
  typicalColours: share
    .default(0)
    .describe('How often a thing wears the colour of its kind: RGB alone says more.'),
  depthNoise: z
    .number()
    .nonnegative()
    .max(1000)
    .default(1)
    .describe('Multiplies noise and holes of the depth sensor, and noise of normals.'),
  varied: z
    .boolean()
    .default(false)
    .describe(
      'Draws these three for each room by itself, and varies textures, colours, light and camera widely: for pretraining.',
    ),
});

const channel = z.int().min(0).max(255);

const colour = shorthand(
  (value) =>
    typeof value === 'string' && /^#[0-9a-f]{6}$/i.test(value)
      ? [1, 3, 5].map((at) => Number.parseInt(value.slice(at, at + 2), 16))
      : value,
  z
    .tuple([channel, channel, channel])
    .meta({ expects: "[red, green, blue] of 0 to 255, or '#rrggbb' in quotes" } satisfies KeyMeta),
);

export const data = z.strictObject({
  rooms: rooms
    .optional()
    .describe('Procedural rooms instead of files: generated once, then kept in the cache.'),
  root: path.optional().describe('Folder of images and lists.'),
  lists: z
    .strictObject({
      labelled: list.describe('Samples with labels, to train on.'),
      unlabelled: list.optional().describe('Samples to train on without their labels.'),
      val: list.describe('Samples with labels, to evaluate on.'),
      test: list
        .optional()
        .describe(
          'Samples with labels that nothing is chosen by: looked at by `m3l evaluate --split test` and `m3l check` alone.',
        ),
    })
    .optional()
    .describe('List files, one sample a line; a text is short for `{ file: … }`.'),
  files: z
    .record(text, text)
    .optional()
    .describe(
      "Where the lists hold bare names: each modality's file, and `label`'s, with `{name}` in it. Without it, a list line has one column a modality, in order, then the label, separated by tabs or commas.",
    ),
  modalities: z
    .record(text, modality)
    .prefault({ rgb: 'rgb', depth: 'depth' })
    .describe(
      'What a sample consists of, by name; a text is short for `{ kind: … }`. Rooms have rgb, depth, ' +
        'normals (of kind rgb) and thermal (of kind grey).',
    ),
  classes: shorthand(
    (value) =>
      typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= MOST_CLASSES
        ? Array.from({ length: value }, (_, index) => `class ${index}`)
        : value,
    z
      .array(text)
      .min(2)
      .max(MOST_CLASSES)
      .meta({
        expects: `class names, or how many there are, 2 to ${MOST_CLASSES}`,
      } satisfies KeyMeta),
  )
    .optional()
    .describe(
      'Class names in the order of the labels, or how many there are. Beside `rooms`: what ' +
        '`labels` makes of their 13.',
    ),
  palette: z
    .array(colour)
    .min(2)
    .max(MOST_CLASSES)
    .optional()
    .describe(
      "A colour for each class in pictures, [red, green, blue] or '#rrggbb'; absent: those of a known data set, else spread hues.",
    ),
  labelOffset: countOrNone
    .max(65_535)
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
  align: text
    .optional()
    .describe(
      'Without resize: the modality whose size the others, and training labels, are brought to. ' +
        'Absent: the sizes of a scene must agree.',
    ),
  crop: size
    .optional()
    .describe(
      'What training crops from the scaled images. Absent: a square of the shorter side of the images (their median, as resized) in whole 32s, at most 480; `framework.fidelity: paper`: 540.',
    ),
  cropMostOneClass: share
    .nullable()
    .optional()
    .describe(
      'The place of a labelled crop is drawn anew, 10 times at most, while one class holds more than this share of its labelled pixels, so that rare classes are met; null: it is taken as it comes. Absent: 0.75; `framework.fidelity: paper`: null.',
    ),
  evaluationSize: size
    .optional()
    .describe(
      'Inputs are resized to this for evaluation and prediction; absent: they keep their size and aspect (`framework.fidelity: paper`: the crop size).',
    ),
  flip: share.default(0.5).describe('How often training mirrors a sample.'),
  scales: z
    .array(z.number().min(0.01).max(100))
    .min(1)
    .max(1000)
    .optional()
    .describe(
      'Training draws a scale from these. Absent: 0.5, 0.75, 1, 1.5, 1.75 and 2, of those below 1 the ones at which an image fills three quarters of the crop’s side; `framework.fidelity: paper`: all.',
    ),
  augmentOn: z
    .enum(['worker', 'device'])
    .optional()
    .describe(
      'Where training pictures are cropped, scaled, flipped and normalised: by the `worker` threads that decode them, or on the `device`, to which the stored pixels then travel. The same batches up to rounding. Absent: `worker` on the CPU, `device` on a GPU.',
    ),
});

export type ListConfig = z.output<typeof list>;
export type RoomsConfig = z.output<typeof rooms>;
