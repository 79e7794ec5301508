import { optim, torch } from 'm3l';
import type { Batch } from 'm3l/data';
import {
  createFramework,
  type Execution,
  type Framework,
  type FrameworkDescriptor,
  type FrameworkName,
  type LearningOptionsInput,
  type StepReport,
  Trainer,
  type TrainerOptions,
  trainableGroups,
} from 'm3l/learning';
import { createModel, type LinearFusionOptions } from 'm3l/models';
import { expect } from 'vitest';

const SIZE = 32;
export const SEED = 4;
/** Enough that a captured training replays some. */
export const STEPS = 6;
const modalities = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
] as const;

/** One sample of a seed; the caller disposes of it. */
export function batch(seed: number, { labels = false, size = SIZE, padded = false } = {}): Batch {
  return torch.detached(() => {
    const generator = new torch.Generator().manualSeed(seed);
    const valid = torch.ones([1, size, size], { dtype: 'bool' });
    torch.scope(() => valid.narrow(2, 0, 9).fill_(!padded));
    if (!padded) valid.dispose();
    return {
      names: [`${seed}`],
      modalities: [0, 1].map(() => torch.randn([1, 3, size, size], { generator })),
      labels: labels ? torch.randint(0, 3, [1, size, size], { dtype: 'int64', generator }) : null,
      valid: padded ? valid : null,
    };
  });
}

/** Every step masks another way, and some sample always loses a modality. */
const MASKS = [
  [0, 1],
  [-1, 1],
  [1, -1],
  [0, -1],
  [1, 0],
];

export interface Training {
  name?: FrameworkName | FrameworkDescriptor;
  execution?: Execution;
  optimizer?: 'adamw' | 'sgd';
  device?: string;
  learning?: LearningOptionsInput;
  model?: Partial<LinearFusionOptions>;
  trainer?: Partial<TrainerOptions>;
  masks?: number[][];
  /** Resume after so many steps in a training of its own. */
  resumeAfter?: number;
}

export interface Trained {
  reports: StepReport[];
  /** Of networks and optimiser: copies, which belong to the scope of the test. */
  state: Record<string, torch.Tensor>;
}

export interface TrainingParts {
  framework: Framework;
  optimizer: TrainerOptions['optimizer'];
  schedule: optim.PolySchedule;
}

/** The batch of an iteration; those with padding and those without come in turn. */
export const batches = async (iteration: number) => ({
  labelled: batch(2 * iteration, { labels: true, padded: iteration % 2 === 1 }),
  unlabelled: batch(2 * iteration + 1, { padded: iteration % 3 === 1 }),
});

/** A training of its own, its networks and optimiser made anew from the same seed. */
export async function withTrainer<T>(
  { name = 'm3l', execution = 'eager', device = 'cpu', ...training }: Training,
  use: (trainer: Trainer, parts: TrainingParts) => Promise<T>,
): Promise<T> {
  const { masks = MASKS, learning, model, optimizer: kind = 'adamw' } = training;
  torch.manualSeed(11);
  const networks = () =>
    createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3, ...model }).to({
      device,
    });
  const framework = createFramework(name, {
    networks,
    modalities,
    masks: (iteration, count) => masks[iteration % masks.length]!.slice(0, count),
    options: { lambdaWarmup: 4, ...learning },
  });
  const groups = trainableGroups(framework, { encoderLr: 1e-3 });
  const optimizer =
    kind === 'adamw' ? new optim.AdamW(groups) : new optim.SGD(groups, { momentum: 0.9 });
  const parts = { framework, optimizer, schedule: new optim.PolySchedule({ total: 8, warmup: 3 }) };
  try {
    using trainer = new Trainer({
      ...parts,
      iterations: 8,
      seed: SEED,
      device,
      execution,
      source: batches,
      ...training.trainer,
    });
    return await use(trainer, parts);
  } finally {
    optimizer.dispose();
    for (const network of Object.values(framework.networks)) network.dispose();
  }
}

export async function steps(trainer: Trainer, count: number): Promise<StepReport[]> {
  const reports: StepReport[] = [];
  for (let i = 0; i < count; i++) reports.push(await trainer.step());
  return reports;
}

export const copyOf = (trainer: Trainer): Trained['state'] =>
  torch.scope(() =>
    Object.fromEntries(
      Object.entries(trainer.state().tensors).map(([key, tensor]) => [
        key,
        tensor.detach().to({ device: 'cpu', copy: true }),
      ]),
    ),
  );

export async function train({ resumeAfter, ...training }: Training): Promise<Trained> {
  if (resumeAfter === undefined) {
    return withTrainer(training, async (trainer) => ({
      reports: await steps(trainer, STEPS),
      state: copyOf(trainer),
    }));
  }
  return withTrainer(training, async (first) => {
    const before = await steps(first, resumeAfter);
    return withTrainer(training, async (second) => {
      // Into a trainer that has something prepared already.
      await second.step();
      torch.scope(() => second.loadState(first.state()));
      const after = await steps(second, STEPS - resumeAfter);
      return { reports: [...before, ...after], state: copyOf(second) };
    });
  });
}

const withoutTimes = ({ reports }: Trained) =>
  reports.map(({ seconds: _, waitSeconds: __, ...report }) => report);

/**
 * Equal numbers; of the state, differences relative to the tensor's largest value.
 * @param again a training that is the same as `wanted`: what differs between these may differ more
 */
export function expectAlike(
  found: Trained,
  wanted: Trained,
  tolerance = 0,
  digits = 5,
  again: Trained = wanted,
): void {
  expect(Object.keys(found.state)).toEqual(Object.keys(wanted.state));
  for (const [key, tensor] of Object.entries(found.state)) {
    torch.scope(() => {
      const expected = wanted.state[key]!;
      const largest = (x: typeof tensor) => x.abs().max().item();
      const off = largest(tensor.sub(expected));
      const chance = largest(again.state[key]!.sub(expected));
      expect(off, key).toBeLessThanOrEqual(tolerance * largest(expected) + 5 * chance);
    });
  }
  for (const [i, report] of withoutTimes(found).entries()) {
    const { loss, parts, health, gradientNorm, ...exact } = report;
    const { loss: l, parts: p, health: h, gradientNorm: g, ...expected } = withoutTimes(wanted)[i]!;
    expect(exact).toEqual(expected);
    const close = (value: number) => expect.closeTo(value, digits);
    expect(loss).toEqual(close(l));
    expect(parts).toEqual(Object.fromEntries(Object.entries(p).map(([k, v]) => [k, close(v)])));
    const closeTo = (value: number | number[]) =>
      typeof value === 'number' ? close(value) : value.map(close);
    expect(health).toEqual(Object.fromEntries(Object.entries(h).map(([k, v]) => [k, closeTo(v)])));
    if (g === null) expect(gradientNorm).toBeNull();
    else expect(gradientNorm! / g).toBeCloseTo(1, digits);
  }
}
