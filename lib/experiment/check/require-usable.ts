import { DataError } from '../../data/index.js';
import { type CheckOptions, checkData } from './check.js';

/**
 * The quick part of a check, before training: warnings are told, errors end it.
 * @throws DataError of the first error found, with the others in its message
 */
export async function requireUsableData(
  options: Omit<CheckOptions, 'full' | 'measure' | 'test'> & { onNote: (text: string) => void },
): Promise<void> {
  // What the rooms' renderer wrote is right.
  if (options.config.data.rooms !== undefined) return;
  const { findings } = await checkData({ ...options, measure: false, test: false });
  const errors = findings.filter(({ level }) => level === 'error');
  for (const { level, split, message } of findings) {
    if (level === 'warning') options.onNote(`Warning, ${split} data: ${message}`);
  }
  const [first] = errors;
  if (first === undefined) return;
  throw new DataError(
    first.code,
    errors.map(({ split, message }) => `${split} data: ${message}`).join('\n'),
  );
}
