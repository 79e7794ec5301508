import { z } from 'zod';
import type { Prediction, SegmentationModel } from '../../models/index.js';
import { evaluating } from '../../nn/evaluating.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import {
  defineFramework,
  drawOf,
  forward,
  joinBatches,
  labelsOf,
  ohemOptions,
  sizeOf,
  unlabelledOf,
} from '../framework.js';
import { type Labelled, Labelling } from '../labelling.js';
import {
  allHeads,
  pseudoLoss,
  supervisedLoss,
  totalLoss,
  withDice,
  withPenalty,
} from '../losses.js';
import { unmasked } from '../masking.js';
import { studentView } from '../student-view.js';

/**
 * Cross pseudo supervision (Chen et al. 2021; m3l.md section 5): two networks see [L, U], and each labels
 * all of it for the other.
 * loss = sup₁(L) + sup₂(L) + λ · (pseudo₁(what 2 says) + pseudo₂(what 1 says)).
 */
export const cps = defineFramework({
  name: 'cps',
  summary: 'two networks that label all images for each other; nothing is masked',
  networks: ['branch1', 'branch2'],
  trainable: ['branch1', 'branch2'],
  headline: 'branch1',
  needsUnlabelled: true,
  masksModalities: false,
  options: z.object({
    crossSupervised: z
      .enum(['heads', 'ensemble'])
      .default('heads')
      .describe(
        'What of a network learns from the other: each modality’s head and the ensemble, or the ensemble alone, as the authors have it; with several modalities that trains nothing but its weights.',
      ),
  }),
  paperOptions: { crossSupervised: 'ensemble' },
  create(context) {
    const { options, peers, lossPeers } = context;
    const { branch1, branch2 } = context.networks;
    const branches = [branch1, branch2] as const;
    const { device } = branch1.parameters()[0]!;
    const { numClasses } = branch1;
    const labellings = [1, 2].map(() => new Labelling(options, { numClasses, device, peers }));
    // Else what a network says while it learns is what it labels with.
    const labelsApart =
      options.teacherMode === 'eval' || options.cutMix > 0 || options.colourJitter > 0;
    const state = labellings.flatMap((labelling, i) =>
      Object.entries(labelling.state).map(([key, tensor]) => [`branch${i + 1}.${key}`, tensor]),
    );
    return {
      teacher: null,
      state: Object.fromEntries(state),
      draw(batch, iteration) {
        const mixed = sizeOf(unlabelledOf(batch, context));
        return drawOf(context, iteration, unmasked(sizeOf(batch.labelled) + mixed), { mixed });
      },
      losses(batch, { masked, pseudoWeight, confidence, boxes, tokenSeed, colourSeed }) {
        const truth = labelsOf(batch.labelled);
        const ohem = ohemOptions(context, truth);
        const images = joinBatches(batch.labelled, unlabelledOf(batch, context));
        const predict = (network: SegmentationModel, inputs: Tensor[]) =>
          forward(context, network, inputs, masked, tokenSeed);
        const label = (prediction: Prediction, i: number) =>
          torch.noGrad(() => labellings[i]!.label(prediction, images, truth, confidence));
        const learn = (inputs: Tensor[]) => branches.map((network) => predict(network, inputs));

        let predictions: Prediction[];
        let labelled: Labelled[];
        let pseudo: Tensor[];
        if (labelsApart) {
          labelled = branches.map((network, i) =>
            whileLabelling(network, options.teacherMode, () =>
              label(predict(network, images.modalities), i),
            ),
          );
          const said = torch.stack(
            labelled.map(({ labels }) => labels),
            1,
          ); // [B, 2, H, W]
          const view = studentView(context, images, said, { boxes, colourSeed });
          predictions = learn(view.images);
          pseudo = view.pseudo.unbind(1);
        } else {
          predictions = learn(images.modalities);
          labelled = predictions.map(label);
          pseudo = labelled.map(({ labels }) => labels);
        }

        const lambdas = labellings.map((labelling) => labelling.weight(pseudoWeight));
        const [one, two] = predictions.map((prediction, i) => {
          const heads = allHeads(prediction);
          const loss = withDice(
            supervisedLoss(heads, truth, ohem),
            heads,
            truth,
            options.dice,
            lossPeers,
          );
          const sup = withPenalty(loss, prediction, lossPeers);
          const taught = options.crossSupervised === 'heads' ? heads : [prediction.ensemble];
          const cross = pseudoLoss(taught, pseudo[1 - i]!, lossPeers);
          return { sup, cross, total: totalLoss(sup, cross, lambdas[1 - i]!) };
        }) as [Learnt, Learnt];
        const pseudoLosses = one.cross.add(two.cross);
        return {
          total: one.total.add(two.total),
          parts: { sup: one.sup.add(two.sup), pseudo: pseudoLosses, sup1: one.sup, sup2: two.sup },
          health: meanOf(labelled.map(({ health }, i) => withLambda(health, lambdas[i]!))),
        };
      },
    };
  },
});

/** What a network comes to, without λ and with it. */
interface Learnt {
  sup: Tensor;
  cross: Tensor;
  total: Tensor;
}

/** Labels in a scope of its own and without gradients: its activations go before the next are made. */
function whileLabelling(
  network: SegmentationModel,
  mode: 'eval' | 'train',
  label: () => Labelled,
): Labelled {
  const restore = mode === 'eval' ? evaluating([network]) : () => {};
  try {
    return torch.scope(() => torch.noGrad(label));
  } finally {
    restore();
  }
}

/** What there is to watch, if anything, with λ. */
function withLambda(health: Record<string, Tensor>, lambda: number | Tensor) {
  if (Object.keys(health).length === 0) return health;
  return { ...health, lambda: lambda instanceof torch.Tensor ? lambda : torch.full([], lambda) };
}

/** Of tensors by name. */
function meanOf(all: readonly Record<string, Tensor>[]): Record<string, Tensor> {
  return torch.noGrad(() =>
    Object.fromEntries(
      Object.keys(all[0]!).map((name) => [
        name,
        torch.stack(all.map((each) => each[name]!)).mean([0]),
      ]),
    ),
  );
}
