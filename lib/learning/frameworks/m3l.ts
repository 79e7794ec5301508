import type { Tensor } from '../../torch/index.js';
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
 * Multi-modal mean teacher with masked modalities (the paper's M3L; m3l.md section 5).
 * The student sees [L, L, U], the second L and U masked; the teacher sees the same unmasked.
 * loss = sup(first 2L) + λ · pseudo(all).
 */
export const m3l = defineFramework({
  name: 'm3l',
  summary: 'a mean teacher that sees every modality, its student loses some; the paper’s',
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
        const masked = [
          ...unmasked(count),
          ...ownMasks(context, context.masks, iteration, [count, mixed]),
        ];
        return drawOf(context, iteration, masked, { mixed });
      },
      losses(batch, { masked, pseudoWeight, confidence, boxes, tokenSeed, colourSeed }) {
        const { labelled } = batch;
        const unlabelled = unlabelledOf(batch, context);
        const labels = labelsOf(labelled);
        const truth = torch.cat([labels, labels]);
        const images = joinBatches(labelled, labelled, unlabelled);
        const count = labels.shape[0]!;

        // Without dropout the teacher says the same of both copies of L: one is enough.
        const once = options.teacherMode === 'eval';
        const asStudent = (x: Tensor) => (once ? torch.cat([x.narrow(0, 0, count), x]) : x);
        const seen = once ? joinBatches(labelled, unlabelled) : images;
        const taught = labeller.teach(seen, once ? labels : truth, {
          masked: unmasked(seen.size),
          tokenSeed,
          confidence,
        });
        const pseudo = asStudent(taught.labels);
        const view = studentView(context, images, pseudo, { boxes, colourSeed });
        const prediction = forward(context, student, view.images, masked, tokenSeed);

        return labeller.losses(prediction, taught, {
          labels,
          truth,
          pseudo: view.pseudo,
          pseudoWeight,
          absent: options.absentHeadsLearn ? undefined : masked,
          teacherHeads: taught.heads.map(asStudent),
        });
      },
    };
  },
});
