import * as torch from '../../torch/index.js';
import { LearningError } from '../errors.js';
import { CapturedReplay, PlainReplay } from './replay.js';
import { StaticStep } from './static-step.js';
import { EagerStep, type StepSetup, type TrainingStep } from './training-step.js';

/**
 * How a training step is run. `eager`: each operator as it comes. `captured`: recorded as CUDA graphs
 * after a few steps, and replayed from then on: the same numbers without the time of launching.
 * `static`: what `captured` records, but run as it is, on any device.
 */
export type Execution = 'eager' | 'static' | 'captured';

/** @throws LearningError M3L_CUDA_GRAPH for graphs on another device, M3L_STATIC_STEP */
export function createStep(execution: Execution, setup: StepSetup): TrainingStep {
  if (execution === 'eager') return new EagerStep(setup);
  if (execution === 'static') return new StaticStep(setup, () => new PlainReplay());
  const { device = 'cpu' } = setup;
  if (!device.startsWith('cuda')) {
    throw new LearningError(
      'M3L_CUDA_GRAPH',
      `the step is to be captured on device '${device}': expected a CUDA device. Train on one ` +
        '(device: cuda), or leave the steps eager (cudaGraph: false).',
    );
  }
  return new StaticStep(setup, () => new CapturedReplay(new torch.cuda.Graph(device)));
}
