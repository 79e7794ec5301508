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
import { unmasked } from '../masking.js';

/** The labelled images with all their modalities, and nothing else. */
export function supervised(context: FrameworkContext): Framework {
  const { student, options } = context;
  return {
    name: 'supervised',
    student,
    teacher: null,
    options,
    semiSupervised: false,
    drawsMasks: false,
    draw: ({ labelled }, iteration) => drawOf(context, iteration, unmasked(sizeOf(labelled))),
    losses({ labelled }, { masked, tokenSeed }) {
      const labels = labelsOf(labelled);
      const prediction = forward(context, student, labelled.modalities, masked, tokenSeed);
      const sup = supervisedLoss(allHeads(prediction), labels, ohemOptions(context, labels));
      return { total: sup, parts: { sup } };
    },
    update: () => null,
  };
}
