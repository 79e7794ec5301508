import { defineFramework, drawOf, forward, labelsOf, ohemOptions, sizeOf } from '../framework.js';
import { allHeads, supervisedLoss, withDice, withPenalty } from '../losses.js';
import { unmasked } from '../masking.js';

/** The labelled images with all their modalities, and nothing else. */
export const supervised = defineFramework({
  name: 'supervised',
  summary: 'labelled images alone, with all their modalities',
  networks: ['student'],
  trainable: ['student'],
  headline: 'student',
  needsUnlabelled: false,
  masksModalities: false,
  create(context) {
    const { options } = context;
    const { student } = context.networks;
    return {
      teacher: null,
      draw: ({ labelled }, iteration) => drawOf(context, iteration, unmasked(sizeOf(labelled))),
      losses({ labelled }, { masked, tokenSeed }) {
        const labels = labelsOf(labelled);
        const ohem = ohemOptions(context, labels);
        const prediction = forward(context, student, labelled.modalities, masked, tokenSeed);
        const heads = allHeads(prediction);
        const loss = withDice(
          supervisedLoss(heads, labels, ohem),
          heads,
          labels,
          options.dice,
          context.lossPeers,
        );
        const sup = withPenalty(loss, prediction, context.lossPeers);
        return { total: sup, parts: { sup } };
      },
    };
  },
});
