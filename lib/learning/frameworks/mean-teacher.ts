import type { Tensor } from '../../torch/index.js';
import {
  createTeacher,
  drawOf,
  type Framework,
  type FrameworkContext,
  forward,
  joinBatches,
  labelsOf,
  ohemOptions,
  sizeOf,
  unlabelledOf,
} from '../framework.js';
import { allHeads, semiSupervisedLosses, supervisedLoss, totalLoss } from '../losses.js';
import { unmasked } from '../masking.js';
import { teach } from '../pseudo-labels.js';

/** Student and teacher both see [L, U] with all modalities. */
export function meanTeacher(context: FrameworkContext): Framework {
  const { student, options } = context;
  const teacher = createTeacher(context, 'mean-teacher');
  return {
    name: 'mean-teacher',
    student,
    teacher,
    options,
    semiSupervised: true,
    drawsMasks: false,
    draw(batch, iteration) {
      const size = sizeOf(batch.labelled) + sizeOf(unlabelledOf(batch, 'mean-teacher'));
      return drawOf(context, iteration, unmasked(size));
    },
    losses(batch, { masked, pseudoWeight, tokenSeed }) {
      const labels = labelsOf(batch.labelled);
      const ohem = ohemOptions(context, labels);
      const images = joinBatches(batch.labelled, unlabelledOf(batch, 'mean-teacher'));

      const taught = teach(context, teacher, images, masked, tokenSeed);
      const prediction = forward(context, student, images.modalities, masked, tokenSeed);

      const heads = allHeads(prediction);
      const { sup, pseudo } = semiSupervisedLosses(heads, labels, taught.labels, ohem);
      const total = totalLoss(sup, pseudo, pseudoWeight);
      const parts: Record<string, Tensor> = { sup, pseudo };
      if (options.reportTeacherLoss) parts.teacherSup = supervisedLoss(taught.heads, labels, ohem);
      return { total, parts };
    },
    update: (iteration) => teacher.update(iteration),
  };
}
