import type { TrainEvent } from '../experiment/index.js';
import { printNote } from './output.js';
import { createProgress, type Progress, type ProgressState } from './progress.js';

/** Shows a training on stderr by its events: one bar from its first step to its last evaluation. */
export function trainingProgress({ label }: { label: string }) {
  let progress: Progress | null = null;
  let state: ProgressState = { done: 0 };
  const checking = imageProgress('check data');
  return {
    onEvent(event: TrainEvent): void {
      switch (event.kind) {
        case 'note':
          if (progress === null) printNote(event.text);
          else progress.note(event.text);
          break;
        case 'checking':
          checking.update(event.done, event.scenes);
          if (event.done === event.scenes) checking.end();
          break;
        case 'start':
          state.done = event.iteration;
          state.device = event.device;
          progress = createProgress({ label, total: event.iterations, started: event.iteration });
          break;
        case 'step': {
          const { iteration: done, loss, imagesPerSecond, memory } = event;
          state = { ...state, done, loss, imagesPerSecond, memory };
          progress?.update(state);
          break;
        }
        case 'health': {
          const { lambda, used } = event.means;
          if (typeof lambda === 'number') state.pseudoWeight = lambda;
          if (typeof used === 'number') state.pseudoUsed = used;
          break;
        }
        case 'evaluating':
          progress?.update({ ...state, evaluated: event });
          break;
        case 'evaluation':
          state.robustMeanIoU = event.report.robustMeanIoU;
          progress?.update(state);
          break;
      }
    },
    end(): void {
      progress?.end();
      progress = null;
    },
  };
}

/** Shows work on images whose number comes with the first of them. */
export function imageProgress(label: string) {
  let progress: Progress | null = null;
  return {
    update(done: number, images: number): void {
      progress ??= createProgress({ label, total: images });
      progress.update({ done });
    },
    end(): void {
      progress?.end();
      progress = null;
    },
  };
}
