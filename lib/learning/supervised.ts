import {
  type Framework,
  type FrameworkContext,
  forward,
  labelsOf,
  ohemOptions,
} from './framework.js';
import { allHeads, supervisedLoss } from './losses.js';
import { unmasked } from './masking.js';

/** The labelled images with all their modalities, and nothing else. */
export function supervised(context: FrameworkContext): Framework {
  const { student, options } = context;
  return {
    name: 'supervised',
    student,
    teacher: null,
    options,
    semiSupervised: false,
    losses({ labelled }, iteration) {
      const labels = labelsOf(labelled);
      const masked = unmasked(labels.shape[0]!);
      const prediction = forward(context, student, labelled.modalities, masked, iteration);
      const sup = supervisedLoss(allHeads(prediction), labels, ohemOptions(context, labels));
      return { total: sup, parts: { sup }, masked };
    },
    update: () => null,
  };
}
