import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import {
  createTeacher,
  drawSecondMasked,
  type Framework,
  type FrameworkContext,
  forward,
  joinBatches,
  labelsOf,
  ohemOptions,
  unlabelledOf,
} from '../framework.js';
import { allHeads, semiSupervisedLosses, supervisedLoss, totalLoss } from '../losses.js';
import { teach } from '../pseudo-labels.js';

/** As M3L, but the teacher sees the batch masked just as the student does. */
export function meanTeacherModalityDropout(context: FrameworkContext): Framework {
  const { student, options } = context;
  const teacher = createTeacher(context, 'mean-teacher-modality-dropout');
  return {
    name: 'mean-teacher-modality-dropout',
    student,
    teacher,
    options,
    semiSupervised: true,
    drawsMasks: true,
    draw: (batch, iteration) =>
      drawSecondMasked(context, batch, iteration, 'mean-teacher-modality-dropout'),
    losses(batch, { masked, pseudoWeight, tokenSeed }) {
      const { labelled } = batch;
      const unlabelled = unlabelledOf(batch, 'mean-teacher-modality-dropout');
      const labels = labelsOf(labelled);
      const ohem = ohemOptions(context, labels);
      const truth = torch.cat([labels, labels]);
      const images = joinBatches(labelled, labelled, unlabelled);

      const taught = teach(context, teacher, images, masked, tokenSeed);
      const prediction = forward(context, student, images.modalities, masked, tokenSeed);

      const heads = allHeads(prediction);
      const { sup, pseudo } = semiSupervisedLosses(heads, truth, taught.labels, ohem);
      const total = totalLoss(sup, pseudo, pseudoWeight);
      const parts: Record<string, Tensor> = { sup, pseudo };
      if (options.reportTeacherLoss) parts.teacherSup = supervisedLoss(taught.heads, truth, ohem);
      return { total, parts };
    },
    update: (iteration) => teacher.update(iteration),
  };
}
