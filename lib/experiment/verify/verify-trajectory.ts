import { z } from 'zod';
import type { Batch, ModalitySpec } from '../../data/index.js';
import {
  createFramework,
  parameterGroups,
  type StepReport,
  Trainer,
} from '../../learning/index.js';
import { AdamW, PolySchedule } from '../../optim/index.js';
import type { Tensor } from '../../torch/index.js';
import { BOUNDS, type Comparison } from './comparison.js';
import type { GoldenFile } from './golden-file.js';
import { goldenModel, modalitySpecs } from './golden-model.js';
import { compareTrained } from './parameters.js';

const step = z.object({
  branches: z.array(z.int()),
  sup: z.number().optional(),
  teacher_sup: z.number().optional(),
  pseudo: z.number().optional(),
  total: z.number().optional(),
  lr: z.array(z.number()).optional(),
  ema_alpha: z.number().optional(),
});

const facts = z.object({
  backbone: z.string(),
  fusion_ratio: z.number().default(0.8),
  masking_ratio: z.number().default(1),
  min_kept: z.int().nonnegative(),
  thresh: z.number().default(0.7),
  ema_alpha: z.number().default(0.99),
  pseudo_loss_coeff: z.number().default(1),
  base_lr: z.array(z.number()).length(3).default([1e-4, 1e-4, 3e-4]),
  weight_decay: z.array(z.number()).length(3).default([1e-4, 0, 1e-4]),
  total_iterations: z.int().positive(),
  power: z.number().default(0.9),
  log: z.array(step).min(1),
});

/** Repeats the logged M3L training steps with the trainer, its masks given instead of drawn. */
export async function verifyTrajectory(
  file: GoldenFile,
  compare: Comparison,
  device: string,
): Promise<void> {
  const given = file.facts(facts);
  if (given.masking_ratio !== 1) {
    throw file.malformed(`masking_ratio is ${given.masking_ratio}: expected 1, others are random`);
  }
  const { backbone, fusion_ratio: fusionRatio } = given;
  const student = goldenModel(file, 'init.', { backbone, fusionRatio, device });
  const teacher = goldenModel(file, 'init.', { backbone, fusionRatio, device });
  const modalities = modalitySpecs(file, 'step0.', student.modalities);
  const framework = createFramework('m3l', {
    student,
    teacher,
    modalities,
    masks: (iteration) => given.log[iteration]!.branches,
    options: {
      fidelity: 'paper',
      lambda: given.pseudo_loss_coeff,
      emaDecay: given.ema_alpha,
      ohem: { threshold: given.thresh, minKept: given.min_kept },
      reportTeacherLoss: true,
    },
  });
  const groups = parameterGroups(student, { alpha: 'untrained' }).map((group, index) => ({
    ...group,
    lr: given.base_lr[index]!,
    weightDecay: given.weight_decay[index]!,
  }));
  const optimizer = new AdamW(groups);
  try {
    const trainer = new Trainer({
      framework,
      optimizer,
      schedule: new PolySchedule({ total: given.total_iterations, power: given.power }),
      iterations: given.log.length,
      device,
      source: async (iteration) => batchesOf(file, `step${iteration}.`, modalities),
      onStep: (report) => compareStep(compare, report, given.log[report.iteration]!),
    });
    await trainer.run();
    compareTrained(file, compare, 'final.student.', student);
    compareTrained(file, compare, 'final.teacher.', teacher);
  } finally {
    optimizer.dispose();
    student.dispose();
    teacher.dispose();
  }
}

function batchesOf(file: GoldenFile, prefix: string, modalities: readonly ModalitySpec[]) {
  const batch = (kind: string, labels: Tensor | null): Batch => {
    const inputs = modalities.map(({ name }) => file.tensor(`${prefix}${kind}${name}`));
    const names = Array.from({ length: inputs[0]!.shape[0]! }, (_, b) => `${prefix}${kind}${b}`);
    return { names, modalities: inputs, labels, valid: null };
  };
  return {
    labelled: batch('', file.tensor(`${prefix}labels`).to({ dtype: 'int64' })),
    unlabelled: batch('unlabelled_', null),
  };
}

function compareStep(compare: Comparison, report: StepReport, expected: z.output<typeof step>) {
  const { iteration, parts, loss, learningRates, emaFactor } = report;
  const losses: [string, number, number | undefined][] = [
    ['sup', parts.sup!, expected.sup],
    ['teacher_sup', parts.teacherSup!, expected.teacher_sup],
    ['pseudo', parts.pseudo!, expected.pseudo],
    ['total', loss, expected.total],
  ];
  for (const [name, actual, logged] of losses) {
    if (logged === undefined) continue;
    compare.scalar('losses', `step${iteration}.${name}`, actual, logged, BOUNDS.trajectoryLoss);
  }
  for (const [index, rate] of (expected.lr ?? []).entries()) {
    const name = `step${iteration}.lr.${index}`;
    compare.scalar('schedule', name, learningRates[index]!, rate, BOUNDS.schedule);
  }
  if (expected.ema_alpha !== undefined) {
    const error = Math.abs(emaFactor! - expected.ema_alpha);
    compare.row('schedule', `step${iteration}.ema_alpha`, error, BOUNDS.schedule);
  }
}
