import type { Tensor } from '../torch/index.js';
import {
  createTeacher,
  type Framework,
  type FrameworkContext,
  forward,
  joinBatches,
  labelsOf,
  ohemOptions,
  unlabelledOf,
} from './framework.js';
import { allHeads, pseudoWeight, semiSupervisedLosses, supervisedLoss } from './losses.js';
import { unmasked } from './masking.js';
import { teach } from './pseudo-labels.js';

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
    losses(batch, iteration) {
      const labels = labelsOf(batch.labelled);
      const ohem = ohemOptions(context, labels);
      const images = joinBatches(batch.labelled, unlabelledOf(batch, 'mean-teacher'));
      const masked = unmasked(images.size);

      const taught = teach(context, teacher, images, masked, iteration);
      const prediction = forward(context, student, images.modalities, masked, iteration);

      const heads = allHeads(prediction);
      const { sup, pseudo } = semiSupervisedLosses(heads, labels, taught.labels, ohem);
      const total = sup.add(pseudo, { alpha: pseudoWeight(options, iteration) });
      const parts: Record<string, Tensor> = { sup, pseudo };
      if (options.reportTeacherLoss) parts.teacherSup = supervisedLoss(taught.heads, labels, ohem);
      return { total, parts, masked };
    },
    update: (iteration) => teacher.update(iteration),
  };
}
