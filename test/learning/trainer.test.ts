import { optim, torch } from 'm3l';
import {
  createFramework,
  type Fidelity,
  type FrameworkName,
  parameterGroups,
  type StepReport,
  Trainer,
  type TrainerOptions,
} from 'm3l/learning';
import { createModel } from 'm3l/models';
import { describe, expect, it } from 'vitest';
import { batch } from '../helpers/training.js';

const modalities = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
] as const;

/** A fresh training of the same seed; dropout and drop-path are at work. */
async function withTrainer<T>(
  use: (trainer: Trainer, parameters: () => number[]) => Promise<T>,
  options: Partial<TrainerOptions> & { framework?: never } = {},
  name: FrameworkName = 'm3l',
  { freezeBatchNorm = true, fidelity = 'paper' as Fidelity } = {},
): Promise<T> {
  torch.manualSeed(11);
  const framework = createFramework(name, {
    networks: () =>
      createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3, freezeBatchNorm }),
    modalities,
    seed: 4,
    options: { fidelity, freezeBatchNorm },
  });
  const optimizer = new optim.AdamW(
    parameterGroups(framework.networks.student!, { encoderLr: 1e-3 }),
  );
  const trainer = new Trainer({
    framework,
    optimizer,
    schedule: new optim.PolySchedule({ total: 6 }),
    iterations: 6,
    seed: 4,
    source: async (iteration) => ({
      labelled: batch(2 * iteration, { labels: true }),
      unlabelled: batch(2 * iteration + 1),
    }),
    ...options,
  });
  const parameters = () =>
    torch.scope(() =>
      Object.values(framework.networks).flatMap((model) =>
        model.parameters().map((parameter) => parameter.detach().sum().item()),
      ),
    );
  try {
    return await use(trainer, parameters);
  } finally {
    trainer.dispose();
    optimizer.dispose();
    for (const network of Object.values(framework.networks)) network.dispose();
  }
}

describe('Trainer', () => {
  it('trains, reporting each step', async () => {
    const reports: StepReport[] = [];
    const evaluated: number[] = [];
    await withTrainer(
      async (trainer) => {
        expect(await trainer.run()).toBe('done');
        expect(trainer.finished).toBe(true);
      },
      {
        onStep: (report) => void reports.push(report),
        evaluateEvery: 4,
        onEvaluate: (iteration) => void evaluated.push(iteration),
        reportGradientNorm: true,
      },
    );
    expect(reports.map(({ iteration }) => iteration)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(evaluated).toEqual([4, 6]);
    expect(reports[0]!.learningRates).toEqual([1e-3, 1e-3, 3e-4, 3e-4]);
    expect(reports[3]!.learningRates[0]).toBeCloseTo(1e-3 * 0.5 ** 0.9, 9);
    expect(reports.map(({ emaFactor }) => emaFactor)).toEqual(
      [0, 1 / 2, 2 / 3, 3 / 4, 4 / 5, 5 / 6].map((a) => expect.closeTo(a, 12)),
    );
    for (const { loss, parts, gradientNorm } of reports) {
      expect(loss).toBeCloseTo(parts.sup! + parts.pseudo!, 4);
      expect(gradientNorm).toBeGreaterThan(0);
    }
  });

  it('has each next batch prepared once, before the step is over', async () => {
    const seen: string[] = [];
    await withTrainer((trainer) => trainer.run({ until: 6 }), {
      prepare: (iteration) => void seen.push(`prepare ${iteration}`),
      onStep: ({ iteration }) => void seen.push(`step ${iteration}`),
    });
    const steps = [0, 1, 2, 3, 4, 5].map((t) => [`prepare ${t + 1}`, `step ${t}`]);
    expect(seen).toEqual(steps.flat().filter((entry) => entry !== 'prepare 6'));
  });

  it.each(['paper', 'default'] as const)(
    'gives the same numbers in one go and resumed: %s',
    async (fidelity) => {
      const losses = async (trainer: Trainer, steps: number) => {
        const found: number[] = [];
        for (let i = 0; i < steps; i++) found.push((await trainer.step()).loss);
        return found;
      };
      const train = <T>(use: Parameters<typeof withTrainer<T>>[0]) =>
        withTrainer(use, {}, 'm3l', { fidelity });
      const whole = await train(async (trainer, parameters) => ({
        losses: await losses(trainer, 4),
        parameters: parameters(),
      }));
      const resumed = await train(async (first) => {
        const before = await losses(first, 2);
        // What a checkpoint file keeps: copies of the tensors, and JSON.
        const { tensors, meta } = first.state();
        const saved = {
          tensors: Object.fromEntries(
            Object.entries(tensors).map(([key, tensor]) => [key, tensor.detach().clone()]),
          ),
          meta: JSON.parse(JSON.stringify(meta)),
        };
        torch.dispose(
          Object.fromEntries(
            Object.entries(tensors).filter(([key]) => !key.startsWith('optimizer.')),
          ),
        );
        torch.manualSeed(999);
        const rest = await train(async (second, parameters) => {
          second.loadState(saved);
          expect(second.iteration).toBe(2);
          return { losses: [...before, ...(await losses(second, 2))], parameters: parameters() };
        });
        torch.dispose(saved.tensors);
        return rest;
      });
      expect(resumed.losses).toEqual(whole.losses);
      expect(resumed.parameters).toEqual(whole.parameters);
    },
  );

  it('keeps what it knows of its teacher where a step fails, and where a snapshot is disposed of', async () => {
    const bad = async (iteration: number) => {
      const labelled = batch(2 * iteration, { labels: true });
      if (iteration === 1) labelled.modalities[0]!.fill_(Number.NaN);
      return { labelled, unlabelled: batch(2 * iteration + 1) };
    };
    await withTrainer(
      async (trainer) => {
        const known = () =>
          torch.scope(() =>
            Object.entries(trainer.state().tensors)
              .filter(([name]) => name.startsWith('framework.'))
              .map(([name, tensor]) => [name, [...tensor.toTypedArray()]]),
          );
        await trainer.step();
        const before = known();
        expect(before.map(([name]) => name)).toContain('framework.hits');
        await expect(trainer.step()).rejects.toMatchObject({ code: 'M3L_LOSS_NOT_FINITE' });
        expect(known()).toEqual(before);
        const { tensors } = trainer.state();
        torch.dispose(
          Object.entries(tensors).flatMap(([k, one]) => (k.startsWith('framework.') ? [one] : [])),
        );
        expect(known()).toEqual(before);
      },
      { source: bad },
      'm3l',
      { fidelity: 'default' },
    );
  });

  it('finishes the step it is in when aborted', async () => {
    const abort = new AbortController();
    await withTrainer(
      async (trainer) => {
        expect(await trainer.run({ signal: abort.signal })).toBe('aborted');
        expect(trainer.iteration).toBe(2);
      },
      { onStep: ({ iteration }) => void (iteration === 1 && abort.abort()) },
      'supervised',
    );
  });

  it('stops at a loss that is not finite, before it reaches the weights', async () => {
    await withTrainer(
      async (trainer, parameters) => {
        await trainer.step();
        const before = parameters();
        const statistics = () =>
          torch.scope(() =>
            Object.entries(trainer.state().tensors)
              .filter(([key]) => /running_|num_batches/.test(key))
              .map(([key, tensor]) => [key, tensor.toArray()]),
          );
        const kept = statistics();
        expect(kept.length).toBeGreaterThan(0);
        await expect(trainer.step()).rejects.toThrow(/iteration 1.*loss NaN, sup NaN/);
        expect(parameters()).toEqual(before);
        // The forward pass that failed had moved them.
        expect(statistics()).toEqual(kept);
        expect(trainer.intact).toBe(true);
      },
      {
        source: async (iteration) => {
          const labelled = batch(iteration, { labels: true });
          if (iteration === 1) labelled.modalities[0]!.fill_(Number.NaN);
          return { labelled };
        },
      },
      'supervised',
      { freezeBatchNorm: false },
    );
  });

  it('clips the gradients', async () => {
    await withTrainer(
      async (trainer) => {
        const { gradientNorm } = await trainer.step();
        expect(gradientNorm).toBeGreaterThan(1e-3);
      },
      { clipGradientNorm: 1e-3 },
      'supervised',
    );
  });

  it('refuses the state of another framework or seed', async () => {
    await withTrainer(
      async (trainer) => {
        const { meta } = trainer.state();
        const foreign = { tensors: {}, meta: { ...meta, framework: 'mean-teacher' } };
        expect(() => trainer.loadState(foreign)).toThrow(/'mean-teacher'.*'supervised'/s);
        const reseeded = { tensors: {}, meta: { ...meta, seed: 5 } };
        expect(() => trainer.loadState(reseeded)).toThrow(/seed 5/);
      },
      {},
      'supervised',
    );
    torch.sweep();
  });
});
