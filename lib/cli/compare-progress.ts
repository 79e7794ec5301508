import type { CompareEvent, CompareJob } from '../experiment/index.js';
import { printNote } from './output.js';
import { imageProgress, trainingProgress } from './training-progress.js';

/** Shows a comparison on stderr: one bar a run, with which of how many it is. */
export function compareProgress() {
  let training: ReturnType<typeof trainingProgress> | null = null;
  let evaluation: { fill: string; progress: ReturnType<typeof imageProgress> } | null = null;

  const end = () => {
    training?.end();
    evaluation?.progress.end();
    training = null;
    evaluation = null;
  };

  return {
    onEvent(event: CompareEvent): void {
      const label = labelOf(event.job);
      switch (event.kind) {
        case 'run':
          if (event.state === 'finished') printNote(`${label} is finished`);
          else training = trainingProgress({ label });
          break;
        case 'training':
          training?.onEvent(event.event);
          break;
        case 'evaluating':
          if (evaluation?.fill !== event.fill) {
            end();
            const progress = imageProgress(`${label}, ${event.fill}`);
            evaluation = { fill: event.fill, progress };
          }
          evaluation.progress.update(event.done, event.images);
          break;
        case 'result':
          end();
          break;
      }
    },
    end,
  };
}

function labelOf({ framework, seed, index, of }: CompareJob): string {
  const which = `${String(index).padStart(String(of).length)}/${of}`;
  return `${which} ${framework} (seed ${seed})`;
}
