import { ConfigError } from '../experiment/errors.js';
import { M3lError } from '../torch/errors.js';

/** A command line that cannot be understood. */
export class UsageError extends M3lError {
  constructor(message: string) {
    super('M3L_USAGE', message);
  }
}

export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const;

/** Results go to stdout, all else to stderr, so that `--json` can be piped. */
export function printResult(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  printResult(JSON.stringify(value, null, 2));
}

export function printNote(text: string): void {
  process.stderr.write(`${text}\n`);
}

/**
 * Tells what went wrong in one message, without a stack unless M3L_DEBUG is set, and gives the
 * exit code. With `--json`, stdout gets `{ error: { code, message } }` as well.
 */
export function report(error: unknown, json: boolean): number {
  const code = codeOf(error);
  const message = messageOf(error);
  const { RANK: rank, WORLD_SIZE: size } = process.env;
  const several = rank !== undefined && Number(size) > 1;
  if (json && (!several || rank === '0')) printJson({ error: { code, message } });
  const who = several ? `m3l, rank ${rank}` : 'm3l';
  printNote(code === null ? `${who}: ${message}` : `${who}: ${message} [${code}]`);
  if (process.env.M3L_DEBUG && error instanceof Error) printNote(error.stack ?? '');
  else if (code === null) printNote('This is a bug in m3l; M3L_DEBUG=1 shows where.');
  if (code === 'M3L_INTERRUPTED') return EXIT.interrupted;
  const isUsage = error instanceof ConfigError || error instanceof UsageError || USAGE.has(code);
  return isUsage ? EXIT.usage : EXIT.failure;
}

/** Errors that only what was typed can cause, whichever layer finds them. */
const USAGE = new Set<string | null>([
  'M3L_CORRUPTION',
  'M3L_DATA_SET_NAME',
  'M3L_LIBTORCH_NAME',
  'M3L_LIBTORCH_SOURCE',
  'M3L_LIBTORCH_VARIANT',
  'M3L_MISSING_MODALITY',
  'M3L_PICTURE_FORMAT',
  'M3L_PICTURE_PATH',
]);

/** Node's permission model says which flag is missing, and not for what. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { resource } = error as { resource?: string };
  return resource ? `${error.message} It is about ${resource}.` : error.message;
}

function codeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
