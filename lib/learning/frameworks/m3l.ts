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
import { unmasked } from '../masking.js';
import { teach } from '../pseudo-labels.js';

/**
 * Multi-modal mean teacher with masked modalities (the paper's M3L; m3l.md section 5).
 * The student sees [L, L, U], the second L and U masked; the teacher sees the same unmasked.
 * loss = sup(first 2L) + λ · pseudo(all).
 */
export function m3l(context: FrameworkContext): Framework {
  const { student, options } = context;
  const teacher = createTeacher(context, 'm3l');
  return {
    name: 'm3l',
    student,
    teacher,
    options,
    semiSupervised: true,
    drawsMasks: true,
    draw: (batch, iteration) => drawSecondMasked(context, batch, iteration, 'm3l'),
    losses(batch, { masked, pseudoWeight, tokenSeed }) {
      const { labelled } = batch;
      const unlabelled = unlabelledOf(batch, 'm3l');
      const labels = labelsOf(labelled);
      const ohem = ohemOptions(context, labels);
      const truth = torch.cat([labels, labels]);
      const images = joinBatches(labelled, labelled, unlabelled);
      const count = labels.shape[0]!;

      // Without dropout the teacher says the same of both copies of L: one is enough.
      const once = options.teacherMode === 'eval';
      const asStudent = (x: Tensor) => (once ? torch.cat([x.narrow(0, 0, count), x]) : x);
      const seen = once ? joinBatches(labelled, unlabelled) : images;
      const taught = teach(context, teacher, seen, unmasked(seen.size), tokenSeed);
      const prediction = forward(context, student, images.modalities, masked, tokenSeed);

      const heads = allHeads(prediction);
      const { sup, pseudo } = semiSupervisedLosses(heads, truth, asStudent(taught.labels), ohem);
      const total = totalLoss(sup, pseudo, pseudoWeight);
      const parts: Record<string, Tensor> = { sup, pseudo };
      if (options.reportTeacherLoss)
        parts.teacherSup = supervisedLoss(taught.heads.map(asStudent), truth, ohem);
      return { total, parts };
    },
    update: (iteration) => teacher.update(iteration),
  };
}
