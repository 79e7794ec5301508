import { HttpError } from '../http/errors.js';
import { M3lError } from '../torch/errors.js';

/** A server that cannot be: M3L_SERVE_LISTEN. */
export class ServeError extends M3lError {}

/** What is answered where something went wrong. */
export interface ErrorAnswer {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** Whether it is a fault of ours, which the log is told and the client is not. */
  readonly fault: boolean;
}

/** Statuses of errors that the layers below throw for what a client sent, or for when it came. */
const STATUS: Readonly<Record<string, number>> = {
  M3L_ARGUMENT: 400,
  M3L_DATA_OPTIONS: 400,
  M3L_IMAGE_CORRUPT: 400,
  M3L_IMAGE_FORMAT: 400,
  M3L_MISSING_MODALITY: 400,
  M3L_SIZE_MISMATCH: 400,
  M3L_IMAGE_PIXELS: 413,
  M3L_PREDICTOR_BUSY: 429,
  M3L_PREDICTOR_CLOSED: 503,
  M3L_WORKER_CLOSED: 503,
  M3L_WORKER_DIED: 503,
  M3L_WORKER_STUCK: 503,
};

/** What the server library throws, in words that say what to do. */
const FASTIFY: Readonly<Record<string, Omit<ErrorAnswer, 'fault'>>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    status: 415,
    code: 'M3L_HTTP_BODY',
    message:
      'found another Content-Type, expected multipart/form-data, image/* or application/x-npy.',
  },
  FST_ERR_CTP_BODY_TOO_LARGE: {
    status: 413,
    code: 'M3L_HTTP_LARGE',
    message:
      'found too many bytes, see /model for how many a request may have. Send a smaller image.',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    status: 400,
    code: 'M3L_HTTP_BODY',
    message: 'found fewer bytes than Content-Length says, expected all: send it again.',
  },
};

/** The answer to a request that ended in an error; of faults of ours it says no more than that. */
export function errorAnswer(error: unknown): ErrorAnswer {
  if (error instanceof HttpError) {
    const { status, code, message } = error;
    return { status, code, message, fault: status === 500 };
  }
  const ours = FASTIFY[String((error as { code?: unknown } | null)?.code)];
  if (ours !== undefined) return { ...ours, fault: false };
  const { code, statusCode, message } = (error ?? {}) as Record<string, unknown>;
  const status = error instanceof M3lError ? STATUS[error.code] : Number(statusCode);
  if (status !== undefined && status >= 400 && status < 600 && status !== 500) {
    return { status, code: String(code), message: String(message), fault: false };
  }
  return {
    status: 500,
    code: 'M3L_HTTP_FAULT',
    message: 'the server failed at this request; its log says why.',
    fault: true,
  };
}
