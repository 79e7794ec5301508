import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import {
  batches,
  copyOf,
  expectAlike,
  STEPS,
  steps,
  type Training,
  train,
  withTrainer,
} from '../helpers/training.js';

const cuda = torch.cuda.isAvailable();
if (!cuda) console.warn('captured-step: skipped, there is no CUDA device');

/**
 * Kernels that add in any order leave the last digits to chance, and Adam divides by small ones: where a
 * gradient is rounding alone, as of queries that have one key, by that. So a step without a graph is taken
 * twice, and what differs there tells how much may.
 */
const TOLERANCE = 2e-2;
const DIGITS = 3;

const TRAININGS: [string, Training][] = [
  ['supervised', { name: 'supervised' }],
  ['mean-teacher', { name: 'mean-teacher' }],
  ['mean-teacher-modality-dropout', { name: 'mean-teacher-modality-dropout' }],
  ['m3l', {}],
  ['m3l as the paper', { learning: { fidelity: 'paper', reportTeacherLoss: true } }],
  ['cps', { name: 'cps' }],
  [
    'm3l with class weights and a threshold that rises',
    {
      learning: {
        classWeights: [1, 2, 0.5],
        focal: 1,
        confidenceThreshold: 0.6,
        confidenceSchedule: { from: 0.2, iterations: 5 },
      },
    },
  ],
  ['m3l with SGD', { optimizer: 'sgd' }],
  ['m3l, clipped', { trainer: { clipGradientNorm: 1 } }],
  ['m3l, resumed', { resumeAfter: 4 }],
];

describe.skipIf(!cuda)('the captured step', () => {
  it.each(TRAININGS)('of %s gives the numbers of the eager one', (_, training) =>
    torch.scope(async () => {
      const device = 'cuda';
      const eager: Training = { ...training, device, resumeAfter: undefined };
      const [wanted, again] = [await train(eager), await train(eager)];
      const found = await train({ ...training, device, execution: 'captured' });
      expectAlike(found, wanted, TOLERANCE, DIGITS, again);
    }),
  );

  it('agrees with another of the same seed, and moves the weights at every replay', () =>
    torch.scope(async () => {
      const training: Training = { device: 'cuda', execution: 'captured' };
      const [first, second] = [await train(training), await train(training)];
      expectAlike(second, first, TOLERANCE, DIGITS, await train(training));
      const losses = first.reports.map(({ loss }) => loss);
      expect(new Set(losses).size).toBe(STEPS);
    }));

  it('in bfloat16 stays close to the eager one', () =>
    torch.scope(async () => {
      const run = (execution: Training['execution']) =>
        withTrainer({ device: 'cuda', execution }, async (trainer, { framework }) => {
          for (const network of Object.values(framework.networks)) network.precision = 'bfloat16';
          return steps(trainer, STEPS);
        });
      const [found, wanted] = [await run('captured'), await run('eager')];
      for (const [i, { loss }] of found.entries()) expect(loss).toBeCloseTo(wanted[i]!.loss, 1);
    }));

  it('stops at a loss that is not finite, before it reaches the weights', () =>
    torch.scope(async () => {
      const source = async (iteration: number) => {
        const made = await batches(iteration);
        if (iteration === 5) made.labelled.modalities[0]!.fill_(Number.NaN);
        return made;
      };
      const training: Training = { device: 'cuda', execution: 'captured', trainer: { source } };
      await withTrainer(training, async (trainer) => {
        await steps(trainer, 5);
        const before = { reports: [], state: copyOf(trainer) };
        await expect(trainer.step()).rejects.toThrow(/iteration 5.*loss NaN/);
        expectAlike({ reports: [], state: copyOf(trainer) }, before);
      });
    }));
});
