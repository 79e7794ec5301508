import {
  drawOf,
  type Framework,
  type FrameworkContext,
  forward,
  labelsOf,
  ohemOptions,
  sizeOf,
} from '../framework.js';
import { allHeads, supervisedLoss } from '../losses.js';

/** The labelled images, each with one modality or none masked. */
export function supervisedModalityDropout(context: FrameworkContext): Framework {
  const { student, options } = context;
  return {
    name: 'supervised-modality-dropout',
    student,
    teacher: null,
    options,
    semiSupervised: false,
    drawsMasks: true,
    draw: ({ labelled }, iteration) =>
      drawOf(context, iteration, context.masks(iteration, sizeOf(labelled))),
    losses({ labelled }, { masked, tokenSeed }) {
      const labels = labelsOf(labelled);
      const prediction = forward(context, student, labelled.modalities, masked, tokenSeed);
      const sup = supervisedLoss(allHeads(prediction), labels, ohemOptions(context, labels));
      return { total: sup, parts: { sup } };
    },
    update: () => null,
  };
}
