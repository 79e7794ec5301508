import type { Reporter } from '../libtorch/wheels.js';
import { printNote } from './output.js';
import { createProgress, type Progress } from './progress.js';

const MEGABYTE = 1e6;

/** Shows an install on stderr: notes, and for each step a bar (or lines) in megabytes. */
export function byteProgress(note: (line: string) => void = printNote): Reporter & { end(): void } {
  let progress: Progress | null = null;
  let current = '';
  let ended = false;
  const end = () => {
    progress?.end();
    progress = null;
  };
  return {
    log(line) {
      if (progress === null || ended) note(line);
      else progress.note(line);
    },
    progress(step, done, total) {
      if (total === null) return;
      if (step !== current) {
        end();
        current = step;
        ended = false;
        progress = createProgress({
          label: `${step}, MB`,
          total: Math.ceil(total / MEGABYTE),
          started: Math.floor(done / MEGABYTE),
        });
      }
      if (ended) return;
      const last = done >= total;
      progress?.update({ done: last ? Math.ceil(total / MEGABYTE) : Math.floor(done / MEGABYTE) });
      // A step's last state is told once.
      if (last) {
        ended = true;
        end();
      }
    },
    end,
  };
}
