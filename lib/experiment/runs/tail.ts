import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type MetricsLine, parseMetrics } from '../metrics.js';

const FIRST = 64 * 1024;

/**
 * The last line of a log that is as asked, read from its end: a log may have a million lines.
 * Null where there is none, or no file.
 */
export function lastLine(
  path: string,
  isWanted: (line: MetricsLine) => boolean = () => true,
): MetricsLine | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return null;
  }
  try {
    const { size } = fstatSync(file);
    for (let length = FIRST; ; length *= 8) {
      const taken = Math.min(length, size);
      const bytes = Buffer.alloc(taken);
      const read = readSync(file, bytes, 0, taken, size - taken);
      const text = bytes.toString('utf8', 0, read);
      // The first line of a part may be the end of one.
      const whole = taken < size ? text.slice(text.indexOf('\n') + 1) : text;
      const lines = whole.split('\n');
      while (lines.length > 0) {
        const [line] = parseMetrics(lines.pop()!);
        if (line !== undefined && isWanted(line)) return line;
      }
      if (taken === size) return null;
    }
  } catch {
    return null;
  } finally {
    closeSync(file);
  }
}
