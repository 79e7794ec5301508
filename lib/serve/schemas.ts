/** What is sent and answered, of which the OpenAPI document is made. */
import { z } from 'zod';

/** What a prediction may be answered as. */
export const OUTPUTS = ['palette', 'overlay', 'classes', 'probabilities', 'json'] as const;
/** Name of what a prediction is answered as. */
export type Output = (typeof OUTPUTS)[number];

/** Content types of the answers, by output. */
export const TYPES = {
  palette: 'image/png',
  overlay: 'image/png',
  classes: 'application/octet-stream',
  probabilities: 'application/x-npy',
  json: 'application/json',
} as const satisfies Record<Output, string>;

const output = z
  .enum(OUTPUTS)
  .describe(
    'palette: PNG whose pixels are class numbers, in the colours of the classes; overlay: PNG, the first image with ' +
      'the classes in colour over it; classes: one byte a pixel, rows from the top; probabilities: .npy, float32 ' +
      '[classes, height, width]; json: which classes there are. Without it, what Accept asks for, or palette.',
  );

export const singleQuery = z.strictObject({
  output: output.optional(),
  modality: z.string().optional().describe('Of a body that is one image: which modality it is.'),
});

export const batchQuery = z.strictObject({ output: output.optional() });

export const errorBody = z.strictObject({
  error: z.strictObject({
    code: z.string().describe('Stable, for programs.'),
    message: z.string().describe('What was found, what was expected and what to do.'),
  }),
});

const found = z.strictObject({
  index: z.int(),
  name: z.string(),
  share: z.number().describe('Of all pixels.'),
});

export const prediction = z.strictObject({
  width: z.int(),
  height: z.int(),
  missing: z.array(z.string()).describe('Modalities that were not given.'),
  fill: z.string().nullable().describe('What stood for them where the model has no mask token.'),
  found: z.array(found).describe('The classes that were found, the largest first.'),
});

export const batchBody = z.strictObject({
  items: z.array(
    z.union([
      prediction.extend({
        type: z.string().optional().describe('Content type of data.'),
        data: z.string().optional().describe('The output asked for, base64; absent for json.'),
      }),
      errorBody,
    ]),
  ),
});

export const modelBody = z.strictObject({
  modalities: z.array(z.strictObject({ name: z.string(), kind: z.string() })),
  classes: z.array(
    z.strictObject({ index: z.int(), name: z.string(), colour: z.array(z.int()).length(3) }),
  ),
  masksMissing: z.boolean().describe('Whether the model itself knows of missing modalities.'),
  size: z
    .array(z.int())
    .nullable()
    .describe('[height, width] that images are brought to; null: their own.'),
  outputs: z.array(z.enum(OUTPUTS)),
  limits: z.strictObject({
    bytes: z.int(),
    pixels: z.int(),
    items: z.int(),
    seconds: z.number(),
  }),
});

export const healthBody = z.strictObject({ status: z.string() });
