import { torch } from 'm3l';
import {
  allHeads,
  createFramework,
  defineFramework,
  joinBatches,
  minKeptPixels,
  pseudoLabels,
  pseudoLoss,
  supervisedLoss,
  totalLoss,
  trainableGroups,
  unmasked,
} from 'm3l/learning';
import { createModel } from 'm3l/models';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { expectAlike, type Training, train, withTrainer } from '../helpers/training.js';

/** Two networks that label for each other: what a file of its own can say of a framework. */
const crossTaught = defineFramework({
  name: 'cross-taught',
  summary: 'two networks that label for each other',
  networks: ['first', 'second'],
  trainable: ['first', 'second'],
  headline: 'first',
  needsUnlabelled: true,
  masksModalities: false,
  options: z.object({ crossWeight: z.number().nonnegative().default(1.5) }),
  create({ networks, options }) {
    return {
      teacher: null,
      draw: () => ({
        masked: unmasked(2),
        teacherMasked: null,
        boxes: [],
        pseudoWeight: options.crossWeight,
        tokenSeed: null,
      }),
      losses({ labelled, unlabelled }, { pseudoWeight }) {
        const images = joinBatches(labelled, unlabelled!);
        const labels = labelled.labels!;
        const ohem = { threshold: 0.7, minKept: minKeptPixels(labels, 0.08) };
        const predictions = [networks.first, networks.second].map((network) =>
          network.forward(images.modalities, { upsample: false }),
        );
        const size = labels.shape.slice(1);
        const told = predictions.map(({ ensemble }) =>
          pseudoLabels(
            ensemble.detach(),
            images.valid,
            { ...options, confidenceThreshold: null },
            size,
          ),
        );
        const [one, two] = predictions.map((each) => supervisedLoss(allHeads(each), labels, ohem));
        const [by, from] = predictions.map((each, i) => pseudoLoss(each.heads, told[1 - i]!));
        const pseudo = by!.add(from!);
        const total = totalLoss(one!.add(two!), pseudo, pseudoWeight);
        return { total, parts: { sup: one!, secondSup: two!, pseudo } };
      },
    };
  },
});

const training: Training = { name: crossTaught };

describe('a framework with two trained networks and no teacher', () => {
  it('trains both, and reports what it says', () =>
    torch.scope(async () => {
      const { reports, state } = await train(training);
      for (const { parts, loss, emaFactor } of reports) {
        expect(Object.keys(parts)).toEqual(['sup', 'secondSup', 'pseudo']);
        expect(loss).toBeCloseTo(parts.sup! + parts.secondSup! + 1.5 * parts.pseudo!, 4);
        expect(emaFactor).toBeNull();
      }
      expect(reports[0]!.learningRates).toHaveLength(8);
      const named = Object.keys(state).filter((key) => key.endsWith('decoder.linear_pred.bias'));
      expect(named).toEqual(['first.decoder.linear_pred.bias', 'second.decoder.linear_pred.bias']);
      for (const key of named) expect(state[key]!.abs().max().item()).toBeGreaterThan(0);
    }));

  it('gives the same numbers resumed, and from static steps', () =>
    torch.scope(async () => {
      const wanted = await train(training);
      expectAlike(await train({ ...training, resumeAfter: 2 }), wanted);
      expectAlike(await train({ ...training, execution: 'static' }), wanted);
    }));

  it('names its groups by network, and takes options of its own', () =>
    torch.scope(async () => {
      await withTrainer(training, async (_, { framework, optimizer }) => {
        expect(framework).toMatchObject({ trainable: ['first', 'second'], headline: 'first' });
        expect(framework.options).toMatchObject({ crossWeight: 1.5, lambda: 1 });
        const names = optimizer.groups.map((group) => group.name);
        expect(names.slice(0, 5)).toEqual([
          'first.encoder',
          'first.encoder-norm',
          'first.decoder',
          'first.alpha',
          'second.encoder',
        ]);
        expect(trainableGroups(framework)).toHaveLength(8);
      });
      const modalities = [
        { name: 'rgb', kind: 'rgb' },
        { name: 'depth', kind: 'depth' },
      ] as const;
      const networks = () =>
        createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3 });
      const wrong = { crossWeight: -1 };
      expect(() => createFramework(crossTaught, { networks, modalities, options: wrong })).toThrow(
        /options of cross-taught: crossWeight/,
      );
    }));
});
