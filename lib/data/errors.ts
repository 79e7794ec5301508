import { M3lError } from '../torch/errors.js';

/**
 * Data that cannot be used. Codes: M3L_IMAGE_MISSING, M3L_IMAGE_CORRUPT, M3L_IMAGE_FORMAT,
 * M3L_SIZE_MISMATCH, M3L_LABEL_FORMAT, M3L_LABEL_RANGE, M3L_LABEL_SIZES, M3L_LIST_MISSING,
 * M3L_LIST_TEXT, M3L_LIST_COLUMNS, M3L_LIST_EMPTY, M3L_LIST_THERE, M3L_DATA_OPTIONS, M3L_DATA_FOLDER,
 * M3L_DATA_SET_NAME, M3L_DATA_SET_RAW, M3L_DATA_SET_FOLDER, M3L_DATA_SET_WRITE, M3L_MAT_FORMAT,
 * M3L_HDF5_MISSING, M3L_ROOMS_FOLDER, M3L_LOADER_CLOSED, M3L_WORKER_DIED.
 */
export class DataError extends M3lError {}

/** An error in a form that survives the way from a worker thread. */
export interface PortableError {
  readonly code: string | null;
  readonly message: string;
}

export function toPortable(error: unknown): PortableError {
  if (error instanceof M3lError) return { code: error.code, message: error.message };
  return { code: null, message: error instanceof Error ? error.message : String(error) };
}

/** The error as it would have been thrown on this thread. */
export function fromPortable({ code, message }: PortableError): Error {
  return code === null ? new Error(message) : new DataError(code, message);
}
