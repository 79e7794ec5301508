import {
  defineFramework,
  drawOf,
  forward,
  labelsOf,
  ohemOptions,
  ownMasks,
  sizeOf,
} from '../framework.js';
import { allHeads, supervisedLoss, withDice, withPenalty } from '../losses.js';

/** The labelled images, each with one modality or none masked. */
export const supervisedModalityDropout = defineFramework({
  name: 'supervised-modality-dropout',
  summary: 'labelled images alone, each of which may lose a modality',
  networks: ['student'],
  trainable: ['student'],
  headline: 'student',
  needsUnlabelled: false,
  masksModalities: true,
  create(context) {
    const { options } = context;
    const { student } = context.networks;
    return {
      teacher: null,
      draw: ({ labelled }, iteration) =>
        drawOf(context, iteration, ownMasks(context, context.masks, iteration, [sizeOf(labelled)])),
      losses({ labelled }, { masked, tokenSeed }) {
        const labels = labelsOf(labelled);
        const ohem = ohemOptions(context, labels);
        const prediction = forward(context, student, labelled.modalities, masked, tokenSeed);
        const heads = allHeads(prediction);
        const absent = options.absentHeadsLearn ? undefined : masked;
        const entropy = supervisedLoss(heads, labels, ohem, absent);
        const loss = withDice(entropy, heads, labels, options.dice, context.lossPeers);
        const sup = withPenalty(loss, prediction, context.lossPeers);
        return { total: sup, parts: { sup } };
      },
    };
  },
});
