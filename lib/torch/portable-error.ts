/** Errors on their way between threads, which take neither classes nor codes along by themselves. */
import { M3lError } from './errors.js';

/** An error in a form that survives the way from a worker thread. */
export interface PortableError {
  readonly code: string | null;
  readonly message: string;
}

export function toPortable(error: unknown): PortableError {
  if (error instanceof M3lError) return { code: error.code, message: error.message };
  return { code: null, message: error instanceof Error ? error.message : String(error) };
}

/** The error as it would have been thrown on this thread; those with a code are of the class `Coded`. */
export function fromPortable(
  { code, message }: PortableError,
  Coded: new (code: string, message: string) => M3lError = M3lError,
): Error {
  return code === null ? new Error(message) : new Coded(code, message);
}
