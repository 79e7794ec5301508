import {
  type Framework,
  type FrameworkContext,
  forward,
  labelsOf,
  ohemOptions,
} from './framework.js';
import { allHeads, supervisedLoss } from './losses.js';

/** The labelled images, each with one modality or none masked. */
export function supervisedModalityDropout(context: FrameworkContext): Framework {
  const { student, options } = context;
  return {
    name: 'supervised-modality-dropout',
    student,
    teacher: null,
    options,
    semiSupervised: false,
    losses({ labelled }, iteration) {
      const labels = labelsOf(labelled);
      const masked = context.masks(iteration, labels.shape[0]!);
      const prediction = forward(context, student, labelled.modalities, masked, iteration);
      const sup = supervisedLoss(allHeads(prediction), labels, ohemOptions(context, labels));
      return { total: sup, parts: { sup }, masked };
    },
    update: () => null,
  };
}
