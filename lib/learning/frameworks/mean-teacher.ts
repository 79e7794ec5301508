import {
  defineFramework,
  drawOf,
  forward,
  joinBatches,
  labelsOf,
  sizeOf,
  unlabelledOf,
} from '../framework.js';
import { unmasked } from '../masking.js';
import { Labeller } from '../pseudo-labels.js';
import { studentView } from '../student-view.js';

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
    const { student } = context.networks;
    const labeller = new Labeller(context);
    return {
      teacher: labeller.teacher,
      state: labeller.state,
      draw(batch, iteration) {
        const mixed = sizeOf(unlabelledOf(batch, context));
        return drawOf(context, iteration, unmasked(sizeOf(batch.labelled) + mixed), { mixed });
      },
      losses(batch, { masked, pseudoWeight, confidence, boxes, tokenSeed, colourSeed }) {
        const labels = labelsOf(batch.labelled);
        const images = joinBatches(batch.labelled, unlabelledOf(batch, context));

        const taught = labeller.teach(images, labels, { masked, tokenSeed, confidence });
        const view = studentView(context, images, taught.labels, { boxes, colourSeed });
        const prediction = forward(context, student, view.images, masked, tokenSeed);

        return labeller.losses(prediction, taught, {
          labels,
          truth: labels,
          pseudo: view.pseudo,
          pseudoWeight,
        });
      },
    };
  },
});
