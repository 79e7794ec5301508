import { z } from 'zod';
import type { Batch, ModalitySpec } from '../../data/index.js';
import {
  createFramework,
  type Framework,
  type FrameworkName,
  frameworkNamed,
  type StepReport,
  Trainer,
  trainableGroups,
} from '../../learning/index.js';
import type { SegmentationModel } from '../../models/index.js';
import { AdamW, PolySchedule } from '../../optim/index.js';
import type { Tensor } from '../../torch/index.js';
import { BOUNDS, type Comparison } from './comparison.js';
import type { GoldenFile } from './golden-file.js';
import {
  countModalities,
  goldenModel,
  goldenState,
  modalitySpecs,
  type State,
} from './golden-model.js';
import { compareGradients, compareMoved, compareTrained } from './parameters.js';

const step = z.object({
  branches: z.array(z.int()).optional(),
  teacher_branches: z.array(z.int()).optional(),
  sup: z.number().optional(),
  sup_1: z.number().optional(),
  sup_2: z.number().optional(),
  teacher_sup: z.number().optional(),
  pseudo: z.number().optional(),
  total: z.number().optional(),
  lr: z.array(z.number()).optional(),
  ema_alpha: z.number().optional(),
});

const facts = z.object({
  model: z.string().default('linear-fusion'),
  backbone: z.string(),
  fusion_ratio: z.number().default(0.8),
  masking_ratio: z.number().default(1),
  min_kept: z.int().nonnegative(),
  thresh: z.number().default(0.7),
  ema_alpha: z.number().default(0.99),
  pseudo_loss_coeff: z.number().default(1),
  cps_weight: z.number().optional(),
  base_lr: z.array(z.number()).length(3).default([1e-4, 1e-4, 3e-4]),
  weight_decay: z.array(z.number()).length(3).default([1e-4, 0, 1e-4]),
  total_iterations: z.int().positive(),
  lr_power: z.number().default(0.9),
  log: z.array(step).min(1),
});

type Step = z.output<typeof step>;

/**
 * Repeats the logged training steps of a framework with the trainer, its masks given instead of drawn;
 * compares losses and rates, the first step's gradients, and where the parameters ended.
 */
export function trajectoryOf(
  name: FrameworkName,
): (file: GoldenFile, compare: Comparison, device: string) => Promise<void> {
  return async (file, compare, device) => {
    const given = file.facts(facts);
    if (given.masking_ratio !== 1) {
      throw file.malformed(
        `masking_ratio is ${given.masking_ratio}: expected 1, others are random`,
      );
    }
    const { model, backbone, fusion_ratio: fusionRatio, log } = given;
    const options = model === 'linear-fusion' ? { fusionRatio } : {};
    const start = startsOf(goldenState(file, 'init.'), frameworkNamed(name).networks);
    const made: Record<string, SegmentationModel> = {};
    const modalities = modalitySpecs(
      file,
      'step0.',
      countModalities(Object.values(start)[0]!, model),
    );
    const logged = (key: 'branches' | 'teacher_branches') => (iteration: number) =>
      log[iteration]![key] ?? missing(file, key, iteration);
    try {
      for (const [network, state] of Object.entries(start)) {
        made[network] = goldenModel(file, state, { model, backbone, options, device });
      }
      const framework = createFramework(name, {
        networks: made,
        modalities,
        masks: logged('branches'),
        teacherMasks: logged('teacher_branches'),
        options: {
          fidelity: 'paper',
          lambda: given.cps_weight ?? given.pseudo_loss_coeff,
          emaDecay: given.ema_alpha,
          ohem: { threshold: given.thresh, minKept: given.min_kept },
          reportTeacherLoss: true,
        },
      });
      const groups = trainableGroups(framework).map((group, index) => ({
        ...group,
        lr: given.base_lr[index % 3]!,
        weightDecay: given.weight_decay[index % 3]!,
      }));
      using optimizer = new AdamW(groups);
      using trainer = new Trainer({
        framework,
        optimizer,
        schedule: new PolySchedule({ total: given.total_iterations, power: given.lr_power }),
        iterations: log.length,
        device,
        source: async (iteration) => {
          const { needsUnlabelled } = frameworkNamed(name);
          return batchesOf(file, `step${iteration}.`, modalities, needsUnlabelled);
        },
        onStep(report) {
          compareStep(compare, report, log[report.iteration]!);
          if (report.iteration > 0) return;
          for (const trained of framework.trainable) {
            const place = framework.trainable.length === 1 ? '' : `${trained}.`;
            compareGradients(file, compare, `step0.grad.${place}`, framework.networks[trained]!);
          }
        },
      });
      await trainer.run();
      compareNetworks(file, compare, framework, start);
    } finally {
      for (const model of Object.values(made)) model.dispose();
    }
  };
}

/** `final.NETWORK.*` and `moved.NETWORK.*`; without the name where there is one network alone. */
function compareNetworks(
  file: GoldenFile,
  compare: Comparison,
  { networks }: Framework,
  start: Readonly<Record<string, State>>,
): void {
  const all = Object.entries(networks);
  for (const [name, network] of all) {
    const place = all.length === 1 ? '' : `${name}.`;
    compareTrained(file, compare, `final.${place}`, network, start[name]!);
    compareMoved(file, compare, `moved.${place}`, network, start[name]!);
  }
}

/** What each network starts as: its own part of the state, where that names networks, or all of it. */
function startsOf(state: State, networks: readonly string[]): Record<string, State> {
  const entries = Object.entries(state);
  const of = (network: string) => {
    const own = entries.filter(([name]) => name.startsWith(`${network}.`));
    if (own.length === 0) return state;
    return Object.fromEntries(
      own.map(([name, tensor]) => [name.slice(network.length + 1), tensor] as const),
    );
  };
  return Object.fromEntries(networks.map((network) => [network, of(network)]));
}

function missing(file: GoldenFile, key: string, iteration: number): never {
  throw file.malformed(`the log of step ${iteration} has no '${key}'`);
}

function batchesOf(
  file: GoldenFile,
  prefix: string,
  modalities: readonly ModalitySpec[],
  withUnlabelled: boolean,
) {
  const batch = (kind: string, labels: Tensor | null): Batch => {
    const inputs = modalities.map(({ name }) => file.tensor(`${prefix}${kind}${name}`));
    const names = Array.from({ length: inputs[0]!.shape[0]! }, (_, b) => `${prefix}${kind}${b}`);
    return { names, modalities: inputs, labels, valid: null };
  };
  return {
    labelled: batch('', file.tensor(`${prefix}labels`).to({ dtype: 'int64' })),
    ...(withUnlabelled ? { unlabelled: batch('unlabelled_', null) } : {}),
  };
}

function compareStep(compare: Comparison, report: StepReport, expected: Step): void {
  const { iteration, parts, loss, learningRates, emaFactor } = report;
  const losses: [string, number | undefined, number | undefined][] = [
    ['sup', parts.sup, expected.sup],
    ['sup_1', parts.sup1, expected.sup_1],
    ['sup_2', parts.sup2, expected.sup_2],
    ['teacher_sup', parts.teacherSup, expected.teacher_sup],
    ['pseudo', parts.pseudo, expected.pseudo],
    ['total', loss, expected.total],
  ];
  for (const [name, actual = Number.NaN, logged] of losses) {
    if (logged === undefined) continue;
    compare.scalar('losses', `step${iteration}.${name}`, actual, logged, BOUNDS.trajectoryLoss);
  }
  for (const [index, rate] of (expected.lr ?? []).entries()) {
    const name = `step${iteration}.lr.${index}`;
    // A second network's groups follow those of the first.
    for (let group = index; group < learningRates.length; group += 3) {
      compare.scalar('schedule', name, learningRates[group]!, rate, BOUNDS.schedule);
    }
  }
  if (expected.ema_alpha !== undefined) {
    const error = Math.abs((emaFactor ?? Number.NaN) - expected.ema_alpha);
    compare.row('schedule', `step${iteration}.ema_alpha`, error, BOUNDS.schedule);
  }
}
