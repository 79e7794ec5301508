import type { Tensor } from '../../torch/index.js';
import {
  createTeacher,
  defineFramework,
  drawOf,
  forward,
  joinBatches,
  labelsOf,
  ohemOptions,
  sizeOf,
  unlabelledOf,
} from '../framework.js';
import {
  allHeads,
  semiSupervisedLosses,
  supervisedLoss,
  totalLoss,
  withPenalty,
} from '../losses.js';
import { unmasked } from '../masking.js';
import { teach } from '../pseudo-labels.js';

/**
 * Student and teacher both see [L, U] with all modalities.
 * loss = sup(L) + λ · pseudo(all).
 */
export const meanTeacher = defineFramework({
  name: 'mean-teacher',
  summary: 'the student’s average labels all images for it; nothing is masked',
  networks: ['student', 'teacher'],
  trainable: ['student'],
  headline: 'teacher',
  needsUnlabelled: true,
  masksModalities: false,
  create(context) {
    const { options } = context;
    const { student } = context.networks;
    const teacher = createTeacher(context);
    return {
      teacher,
      draw(batch, iteration) {
        const size = sizeOf(batch.labelled) + sizeOf(unlabelledOf(batch, context));
        return drawOf(context, iteration, unmasked(size));
      },
      losses(batch, { masked, pseudoWeight, tokenSeed }) {
        const labels = labelsOf(batch.labelled);
        const ohem = ohemOptions(context, labels);
        const images = joinBatches(batch.labelled, unlabelledOf(batch, context));

        const taught = teach(context, teacher, images, unmasked(images.size), tokenSeed);
        const prediction = forward(context, student, images.modalities, masked, tokenSeed);

        const heads = allHeads(prediction);
        const losses = semiSupervisedLosses(heads, labels, taught.labels, ohem);
        const sup = withPenalty(losses.sup, prediction);
        const total = totalLoss(sup, losses.pseudo, pseudoWeight);
        const parts: Record<string, Tensor> = { sup, pseudo: losses.pseudo };
        if (options.reportTeacherLoss)
          parts.teacherSup = withPenalty(supervisedLoss(taught.heads, labels, ohem), taught);
        return { total, parts };
      },
    };
  },
});
