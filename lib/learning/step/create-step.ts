import * as torch from '../../torch/index.js';
import { LearningError } from '../errors.js';
import { ALONE } from '../peers.js';
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
  const { worldSize } = setup.peers ?? ALONE;
  if (worldSize > 1) {
    throw new LearningError(
      'M3L_STATIC_STEP',
      `a ${execution} step over ${worldSize} processes: expected an eager one, since what is recorded does not ` +
        'wait for other processes. Train with cudaGraph: false, or in one process.',
    );
  }
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
