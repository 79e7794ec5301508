import { mixSeed } from '../../data/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
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
 * As M3L, but the teacher sees the second L and U masked too, by draws of its own, independent of the
 * student's (m3l.md section 5).
 * loss = sup(first 2L) + λ · pseudo(all).
 */
export const meanTeacherModalityDropout = defineFramework({
  name: 'mean-teacher-modality-dropout',
  summary: 'as m3l, but the teacher’s images lose modalities too, by draws of their own',
  networks: ['student', 'teacher'],
  trainable: ['student'],
  headline: 'teacher',
  needsUnlabelled: true,
  masksModalities: true,
  create(context) {
    const { options } = context;
    const { student } = context.networks;
    const teacher = createTeacher(context);
    return {
      teacher,
      draw(batch, iteration) {
        const count = sizeOf(batch.labelled);
        const others = count + sizeOf(unlabelledOf(batch, context));
        const masked = [...unmasked(count), ...context.masks(iteration, others)];
        const teacherMasked = [...unmasked(count), ...context.teacherMasks(iteration, others)];
        return drawOf(context, iteration, masked, teacherMasked);
      },
      losses(batch, { masked, teacherMasked, pseudoWeight, tokenSeed }) {
        const labels = labelsOf(batch.labelled);
        const ohem = ohemOptions(context, labels);
        const truth = torch.cat([labels, labels]);
        const images = joinBatches(batch.labelled, batch.labelled, unlabelledOf(batch, context));

        // Of a part-masked modality, too, the two lose other tokens.
        const teacherTokens = tokenSeed === null ? null : mixSeed(tokenSeed, 1);
        const taught = teach(context, teacher, images, teacherMasked!, teacherTokens);
        const prediction = forward(context, student, images.modalities, masked, tokenSeed);

        const heads = allHeads(prediction);
        const losses = semiSupervisedLosses(heads, truth, taught.labels, ohem);
        const sup = withPenalty(losses.sup, prediction);
        const total = totalLoss(sup, losses.pseudo, pseudoWeight);
        const parts: Record<string, Tensor> = { sup, pseudo: losses.pseudo };
        if (options.reportTeacherLoss)
          parts.teacherSup = withPenalty(supervisedLoss(taught.heads, truth, ohem), taught);
        return { total, parts };
      },
    };
  },
});
