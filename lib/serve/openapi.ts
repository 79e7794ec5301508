import { z } from 'zod';
import * as schemas from './schemas.js';
import { OUTPUTS, TYPES } from './schemas.js';

const COMPONENTS = {
  Error: schemas.errorBody,
  Prediction: schemas.prediction,
  Batch: schemas.batchBody,
  Model: schemas.modelBody,
  Health: schemas.healthBody,
};

const REFUSALS = {
  400: 'An image, a name or the body is not as expected.',
  401: 'A key is asked for.',
  403: 'The Host or the Origin is foreign.',
  406: 'Accept names nothing that there is.',
  408: 'The request took too long to arrive.',
  413: 'Too many bytes, pixels or items.',
  415: 'Neither multipart nor an image.',
  429: 'Too much is asked at once: ask again after Retry-After seconds.',
  503: 'The server ends, the model took too long, or it died or hung and is started anew.',
};

const reference = (name: keyof typeof COMPONENTS) => ({ $ref: `#/components/schemas/${name}` });
const json = (name: keyof typeof COMPONENTS, description: string) => ({
  description,
  content: { 'application/json': { schema: reference(name) } },
});
const binary = { schema: { type: 'string', format: 'binary' } };

/** The document of a server whose model has such modalities, OpenAPI 3.1. */
export function openApi(modalities: readonly string[], version: string): object {
  const refusals = Object.fromEntries(
    Object.entries(REFUSALS).map(([status, text]) => [status, json('Error', text)]),
  );
  const images = Object.fromEntries(modalities.map((name) => [name, binary.schema]));
  const get = (summary: string, answer: object, more: object = {}) => ({
    get: { summary, responses: { 200: answer, ...more } },
  });
  return {
    openapi: '3.1.0',
    info: { title: 'm3l serve', version },
    paths: {
      '/predict': {
        post: {
          summary: 'Segments one scene from any subset of its modalities.',
          parameters: parameters(schemas.singleQuery),
          requestBody: {
            required: true,
            content: {
              'multipart/form-data': { schema: { type: 'object', properties: images } },
              'image/*': binary,
            },
          },
          responses: {
            200: {
              description: 'The prediction; X-M3L-Width, -Height and -Missing say of what.',
              content: Object.fromEntries(
                OUTPUTS.map((output) => [
                  TYPES[output],
                  output === 'json' ? { schema: reference('Prediction') } : binary,
                ]),
              ),
            },
            ...refusals,
          },
        },
      },
      '/predict/batch': {
        post: {
          summary: 'Segments several scenes: parts named 0.rgb, 0.depth, 1.rgb and so on.',
          parameters: parameters(schemas.batchQuery),
          requestBody: {
            required: true,
            content: {
              'multipart/form-data': {
                schema: { type: 'object', additionalProperties: binary.schema },
              },
            },
          },
          responses: {
            200: json('Batch', 'An answer for each; one that fails fails alone.'),
            ...refusals,
          },
        },
      },
      '/model': get('What the model takes and tells.', json('Model', 'The model.')),
      '/health': get('Whether the server runs.', json('Health', 'It does.')),
      '/ready': get('Whether it takes requests.', json('Health', 'It does.'), {
        503: json('Error', 'It ends, or its model has died or hung and is started anew.'),
      }),
      '/metrics': get('Counts, for Prometheus.', {
        description: 'Text format 0.0.4.',
        content: { 'text/plain': { schema: { type: 'string' } } },
      }),
      '/openapi.json': get('This document.', {
        description: 'OpenAPI 3.1.',
        content: { 'application/json': { schema: { type: 'object' } } },
      }),
    },
    components: {
      schemas: Object.fromEntries(
        Object.entries(COMPONENTS).map(([name, schema]) => [name, plain(schema)]),
      ),
    },
  };
}

function plain(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema) as Record<string, unknown>;
  return rest;
}

function parameters(query: z.ZodType): object[] {
  const properties = plain(query).properties as Record<string, { description?: string }>;
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    ...{ name, in: 'query', required: false, description, schema },
  }));
}
