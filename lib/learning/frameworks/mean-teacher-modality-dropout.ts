import { mixSeed } from '../../data/index.js';
import * as torch from '../../torch/index.js';
import {
  defineFramework,
  drawOf,
  forward,
  joinBatches,
  labelsOf,
  ownMasks,
  sizeOf,
  unlabelledOf,
} from '../framework.js';
import { unmasked } from '../masking.js';
import { Labeller } from '../pseudo-labels.js';
import { studentView } from '../student-view.js';

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
    const labeller = new Labeller(context);
    return {
      teacher: labeller.teacher,
      state: labeller.state,
      draw(batch, iteration) {
        const count = sizeOf(batch.labelled);
        const mixed = sizeOf(unlabelledOf(batch, context));
        const others = [count, mixed];
        const masked = [...unmasked(count), ...ownMasks(context, context.masks, iteration, others)];
        const teacherMasked = [
          ...unmasked(count),
          ...ownMasks(context, context.teacherMasks, iteration, others),
        ];
        return drawOf(context, iteration, masked, { teacherMasked, mixed });
      },
      losses(batch, draw) {
        const { masked, teacherMasked, pseudoWeight, confidence, boxes, tokenSeed, colourSeed } =
          draw;
        const labels = labelsOf(batch.labelled);
        const truth = torch.cat([labels, labels]);
        const images = joinBatches(batch.labelled, batch.labelled, unlabelledOf(batch, context));

        // Of a part-masked modality, too, the two lose other tokens.
        const taught = labeller.teach(images, truth, {
          masked: teacherMasked!,
          tokenSeed: tokenSeed === null ? null : mixSeed(tokenSeed, 1),
          confidence,
        });
        const view = studentView(context, images, taught.labels, { boxes, colourSeed });
        const prediction = forward(context, student, view.images, masked, tokenSeed);

        return labeller.losses(prediction, taught, {
          labels,
          truth,
          pseudo: view.pseudo,
          pseudoWeight,
          absent: options.absentHeadsLearn ? undefined : masked,
        });
      },
    };
  },
});
