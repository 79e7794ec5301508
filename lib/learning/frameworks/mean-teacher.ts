import type { Tensor } from '../../torch/index.js';
import {
  defineFramework,
  drawOf,
  forward,
  joinBatches,
  labelsOf,
  ohemOptions,
  sizeOf,
  studentView,
  unlabelledOf,
} from '../framework.js';
import {
  allHeads,
  semiSupervisedLosses,
  supervisedLoss,
  totalLoss,
  withDice,
  withPenalty,
} from '../losses.js';
import { unmasked } from '../masking.js';
import { Labeller } from '../pseudo-labels.js';

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
    const labeller = new Labeller(context);
    return {
      teacher: labeller.teacher,
      state: labeller.state,
      draw(batch, iteration) {
        const mixed = sizeOf(unlabelledOf(batch, context));
        return drawOf(context, iteration, unmasked(sizeOf(batch.labelled) + mixed), { mixed });
      },
      losses(batch, { masked, pseudoWeight, boxes, tokenSeed }) {
        const labels = labelsOf(batch.labelled);
        const ohem = ohemOptions(context, labels);
        const images = joinBatches(batch.labelled, unlabelledOf(batch, context));

        const taught = labeller.teach(images, labels, unmasked(images.size), tokenSeed);
        const changes = { coloured: labels.shape[0]!, boxes };
        const view = studentView(context, images.modalities, taught.labels, changes);
        const prediction = forward(context, student, view.images, masked, tokenSeed);

        const heads = allHeads(prediction);
        const losses = semiSupervisedLosses(heads, labels, view.pseudo, ohem);
        const sup = withPenalty(withDice(losses.sup, heads, labels, options.dice), prediction);
        const lambda = labeller.weight(pseudoWeight);
        const total = totalLoss(sup, losses.pseudo, lambda);
        const parts: Record<string, Tensor> = { sup, pseudo: losses.pseudo };
        if (options.reportTeacherLoss)
          parts.teacherSup = withPenalty(supervisedLoss(taught.heads, labels, ohem), taught);
        const watched = labeller.watch(prediction.ensemble, labels, lambda);
        return { total, parts, health: { ...taught.health, ...watched } };
      },
    };
  },
});
