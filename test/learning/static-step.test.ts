import { torch } from 'm3l';
import { type Batch, mixSeed } from 'm3l/data';
import { CapturedReplay, StaticStep } from 'm3l/learning';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  batch,
  batches,
  copyOf,
  expectAlike,
  SEED,
  STEPS,
  steps,
  type Training,
  train,
  withTrainer,
} from '../helpers/training.js';

// Tensors as small as these only make threads wait for each other.
beforeAll(() => torch.setNumThreads(1));

/** Dropout and drop-path are at work, learning rates, λ, masks and padding change at every step. */
const TRAININGS: [string, Training][] = [
  ['supervised', { name: 'supervised' }],
  ['supervised-modality-dropout', { name: 'supervised-modality-dropout', masks: [[0], [1], [0]] }],
  ['mean-teacher', { name: 'mean-teacher' }],
  ['mean-teacher-modality-dropout', { name: 'mean-teacher-modality-dropout' }],
  ['m3l', {}],
  ['m3l as the paper', { learning: { fidelity: 'paper', reportTeacherLoss: true } }],
  [
    'm3l with a threshold that rises',
    {
      learning: {
        confidenceThreshold: 0.6,
        confidenceSchedule: { from: 0.2, iterations: 5 },
        cutMix: 1,
      },
    },
  ],
  ['m3l with SGD', { optimizer: 'sgd' }],
  ['m3l without a mask token', { model: { maskToken: false }, learning: { fill: 'mean' } }],
  ['m3l with BatchNorm at work', { learning: { freezeBatchNorm: false } }],
  ['m3l, clipped', { trainer: { clipGradientNorm: 1 } }],
  ['m3l, resumed', { resumeAfter: 2 }],
];

/**
 * Where the teacher loses modalities too, the static step weighs every ensemble by who is there, the
 * eager one only where somebody is missing: sums of two orders.
 */
const ROUNDED = ['mean-teacher-modality-dropout'];

describe.each(TRAININGS)('the static step of %s', (title, training) => {
  it('gives the trajectory of the eager one', () =>
    torch.scope(async () => {
      const wanted = await train({ ...training, resumeAfter: undefined });
      const found = await train({ ...training, execution: 'static' });
      expectAlike(found, wanted, ROUNDED.includes(title) ? 1e-6 : 0);
    }));
});

describe('the static step', () => {
  const refusal = async (change: (one: Batch) => Batch | undefined, key = 'labelled') =>
    withTrainer(
      {
        name: key === 'labelled' ? 'supervised' : 'mean-teacher',
        execution: 'static',
        trainer: {
          source: async (iteration) => {
            const made = await batches(0);
            if (iteration === 0) return made;
            const { [key as 'labelled']: changed, ...rest } = made;
            return { ...rest, [key]: change(changed) } as typeof made;
          },
        },
      },
      async (trainer) => {
        await trainer.step();
        return String(await trainer.step().catch((error: Error) => error.message));
      },
    );

  it('says so where a batch is not as the first was', () =>
    torch.scope(async () => {
      const larger = batch(0, { labels: true, size: 64 });
      expect(await refusal(() => larger)).toMatch(
        /modality 0 of the labelled batch: found \[1,3,64,64\] float32, expected \[1,3,32,32\]/,
      );
      expect(await refusal((one) => ({ ...one, labels: one.labels!.to('int32') }))).toMatch(
        /labels of the labelled batch: found \[1,32,32\] int32, expected \[1,32,32\] int64/,
      );
      expect(
        await refusal(({ modalities, ...one }) => ({
          ...one,
          modalities: [...modalities, ...modalities],
        })),
      ).toMatch(/found 4 modalities, expected 2/);
      const two = batch(1);
      two.modalities = two.modalities.map((modality) => torch.cat([modality, modality]));
      expect(await refusal(() => two, 'unlabelled')).toMatch(
        /modality 0 of the unlabelled batch: found \[2,3,32,32\].*without cudaGraph/,
      );
    }));

  it('stops at a loss that is not finite, before it reaches the weights, and goes on after', () =>
    torch.scope(async () => {
      let spoilt = true;
      const source = async (iteration: number) => {
        const made = await batches(iteration);
        if (iteration === 1 && spoilt) made.labelled.modalities[0]!.fill_(Number.NaN);
        return made;
      };
      await withTrainer({ execution: 'static', trainer: { source } }, async (trainer) => {
        await trainer.step();
        const before = { reports: [], state: copyOf(trainer) };
        await expect(trainer.step()).rejects.toThrow(/iteration 1.*loss NaN.*still those/);
        expectAlike({ reports: [], state: copyOf(trainer) }, before);
        spoilt = false;
        const after = { reports: await steps(trainer, STEPS - 1), state: copyOf(trainer) };
        const wanted = await train({});
        expectAlike(after, { ...wanted, reports: wanted.reports.slice(1) });
      });
    }));

  it('moves the mask token alone otherwise where no sample lost a modality', () =>
    torch.scope(async () => {
      const training: Training = {
        masks: [
          [0, 1],
          [-1, -1],
        ],
      };
      const run = (execution: Training['execution']) =>
        withTrainer({ ...training, execution }, async (trainer, { framework }) => {
          const reports = await steps(trainer, 2);
          const { state } = { state: copyOf(trainer) };
          const names = framework.networks.student!.namedParameters().map(([name]) => name);
          const token = names.find((name) => name.endsWith('mask_token'))!;
          const others = Object.entries(state).filter(
            ([key]) => !key.endsWith(token) && !key.startsWith('optimizer.'),
          );
          return { reports, state: Object.fromEntries(others), token: state[`student.${token}`]! };
        });
      const [found, wanted] = [await run('static'), await run('eager')];
      expectAlike(found, wanted);
      expect(found.token.equal(wanted.token)).toBe(false);
    }));

  it('refuses what it cannot repeat, and graphs without a CUDA device', async () => {
    const refuses = (training: Training, message: RegExp) =>
      expect(withTrainer(training, async () => {})).rejects.toThrow(message);
    const execution = 'static';
    await refuses({ execution, learning: { maskingRatio: 0.5 } }, /maskingRatio 0.5, expected 1/);
    const noise = { model: { maskToken: false }, learning: { fill: 'noise' } } as const;
    await refuses({ execution, ...noise }, /fill 'noise', expected 'zeros' or 'mean'/);
    await refuses({ execution: 'captured' }, /device 'cpu': expected a CUDA device/);
    // What masks nothing draws nothing.
    const harmless: Training = { execution, name: 'mean-teacher', learning: { maskingRatio: 0.5 } };
    await withTrainer(harmless, (trainer) => trainer.step());
  });

  it('runs nothing but what was recorded, once it is: no number of a step stays behind', () =>
    torch.scope(async () => {
      // A graph as far as a processor can play one: what it recorded runs at each replay.
      const calls: string[] = [];
      const graph = () => {
        let recorded = () => {};
        return {
          warmUp: (fn: () => void) => {
            calls.push('warm up');
            fn();
          },
          capture: (fn: () => void) => {
            calls.push('capture');
            recorded = fn;
          },
          replay: () => {
            calls.push('replay');
            recorded();
          },
          dispose: () => calls.push('dispose'),
        };
      };
      const found = await withTrainer({}, async (trainer, { framework, optimizer, schedule }) => {
        const setup = { framework, optimizer, reportGradientNorm: false, scalesGradients: false };
        const step = new StaticStep(setup, () => new CapturedReplay(graph()));
        framework.networks.student!.train();
        const losses: number[] = [];
        for (let iteration = 0; iteration < STEPS; iteration++) {
          torch.manualSeed(mixSeed(SEED, iteration));
          schedule.apply(optimizer, iteration);
          const made = await batches(iteration);
          losses.push(step.gradients(made, iteration).read().scalars.loss!);
          step.update(iteration, null);
          torch.dispose(made);
        }
        step.dispose();
        return { losses, reports: [], state: copyOf(trainer) };
      });
      const wanted = await train({});
      expectAlike(found, { ...wanted, reports: [] });
      expect(found.losses).toEqual(wanted.reports.map(({ loss }) => expect.closeTo(loss, 6)));
      const first = ['warm up', 'warm up', 'warm up', 'warm up', 'warm up', 'warm up'];
      const rest = [
        'capture',
        'replay',
        'capture',
        'replay',
        'replay',
        'replay',
        'replay',
        'replay',
      ];
      expect(calls.slice(0, -2)).toEqual([...first, ...rest]);
      expect(calls.slice(-2)).toEqual(['dispose', 'dispose']);
    }));
});
