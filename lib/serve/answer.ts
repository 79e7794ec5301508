/** Predictions as they are sent. */
import type { FastifyReply } from 'fastify';
import type { ImagePrediction, PredictionOutput } from '../experiment/index.js';
import { npyHeaderOf } from '../torch/files/npy-layout.js';
import { type Output, TYPES } from './schemas.js';

/** What a predictor is asked for so that an output can be sent. */
export function outputsFor(output: Output): PredictionOutput[] {
  return output === 'classes' || output === 'json' ? [] : [output];
}

/** What is known of a prediction beside its pixels. */
export function summaryOf({ width, height, missing, fill, found }: ImagePrediction) {
  return { width, height, missing, fill, found };
}

/** The bytes of an output; null: it is the summary. */
export function payloadOf(
  prediction: ImagePrediction,
  output: Output,
  classes: number,
): Buffer | null {
  if (output === 'json') return null;
  if (output === 'classes') return bufferOf(prediction.classes);
  if (output === 'palette') return bufferOf(prediction.palette!);
  if (output === 'overlay') return bufferOf(prediction.overlay!);
  return npy(prediction.probabilities!, [classes, prediction.height, prediction.width]);
}

export function sendPrediction(
  reply: FastifyReply,
  prediction: ImagePrediction,
  output: Output,
  classes: number,
): FastifyReply {
  const { width, height, missing, fill } = prediction;
  return reply
    .type(TYPES[output])
    .header('x-m3l-width', width)
    .header('x-m3l-height', height)
    .header('x-m3l-missing', missing.join(', '))
    .header('x-m3l-fill', fill ?? 'none')
    .send(payloadOf(prediction, output, classes) ?? summaryOf(prediction));
}

function bufferOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function npy(values: Float32Array, shape: readonly number[]): Buffer {
  return Buffer.concat([npyHeaderOf('<f4', shape), bufferOf(values)]);
}
