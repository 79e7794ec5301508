import { torch } from 'm3l';
import { createFramework } from 'm3l/learning';
import { createModel } from 'm3l/models';
import { describe, expect, it } from 'vitest';
import { batches, expectAlike, type Training, train, withTrainer } from '../helpers/training.js';

const paper: Training = { name: 'cps', learning: { fidelity: 'paper' } };
const training: Training = { name: 'cps' };

const specs = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
] as const;

/** The gradient norms that λ · pseudo alone gives each network, by parts of it. */
async function taughtBy(learning: object): Promise<Record<string, number>> {
  torch.manualSeed(2);
  const framework = createFramework('cps', {
    networks: () =>
      createModel({
        name: 'linear-fusion',
        backbone: 'mit-b0',
        numClasses: 3,
        dropPath: 0,
        dropout: 0,
      }),
    modalities: specs,
    options: { cutMix: 0, colourJitter: 0, lambdaFollowsTeacher: false, ...learning },
  });
  const data = await batches(0);
  const { parts } = framework.losses(data, framework.draw(data, 0));
  parts.pseudo!.backward();
  const norms = Object.fromEntries(
    Object.entries(framework.networks).flatMap(([network, model]) =>
      model
        .namedParameters()
        .filter(([name]) => ['alpha', 'decoder.linear_pred.weight'].includes(name))
        .map(([name, { grad }]) => [`${network}.${name}`, grad?.norm().item() ?? 0]),
    ),
  );
  torch.dispose([
    data,
    framework.state,
    ...Object.values(framework.networks).map((n) => n.stateDict()),
  ]);
  for (const network of Object.values(framework.networks)) network.dispose();
  return norms;
}

describe('cps', () => {
  it('01 trains two networks that differ, and reports what each comes to', () =>
    torch.scope(async () => {
      const { reports, state } = await train(training);
      for (const { parts, emaFactor, health } of reports) {
        expect(Object.keys(parts)).toEqual(['sup', 'pseudo', 'sup1', 'sup2']);
        expect(parts.sup).toBeCloseTo(parts.sup1! + parts.sup2!, 5);
        expect(emaFactor).toBeNull();
        expect(health.labelledShares).toHaveLength(3);
        expect(health.lambda).toBeTypeOf('number');
      }
      const [one, two] = ['branch1', 'branch2'].map(
        (name) => state[`${name}.decoder.linear_pred.weight`]!,
      );
      expect(one!.equal(two!)).toBe(false);
      expect(Object.keys(state)).toContain('framework.branch2.hits');
    }));

  it.each([training, paper])(
    '02 gives the same numbers resumed, and from static steps: %o',
    (given) =>
      torch.scope(async () => {
        const wanted = await train(given);
        expectAlike(await train({ ...given, resumeAfter: 2 }), wanted);
        expectAlike(await train({ ...given, execution: 'static' }), wanted);
      }),
  );

  it('03 paper: of several modalities the other network teaches the weights of the ensemble alone', () =>
    torch.scope(async () => {
      const norms = await taughtBy({ fidelity: 'paper' });
      for (const network of ['branch1', 'branch2']) {
        expect(norms[`${network}.alpha`]).toBeGreaterThan(0);
        expect(norms[`${network}.decoder.linear_pred.weight`]).toBe(0);
      }
    }));

  it('04 default: it teaches every head, by a pass of its own without dropout', () =>
    torch.scope(async () => {
      const norms = await taughtBy({});
      for (const network of ['branch1', 'branch2']) {
        expect(norms[`${network}.decoder.linear_pred.weight`]).toBeGreaterThan(0);
      }
    }));

  it('05 leaves both networks training after they labelled', () =>
    torch.scope(async () => {
      await withTrainer(training, async (trainer, { framework }) => {
        await trainer.step();
        expect(Object.values(framework.networks).map(({ training }) => training)).toEqual([
          true,
          true,
        ]);
      });
    }));

  it('06 refuses an option that it has not', () => {
    const networks = () =>
      createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3 });
    const options = { crossSupervised: 'both' } as never;
    expect(() => createFramework('cps', { networks, modalities: specs, options })).toThrow(
      /options of cps: crossSupervised/,
    );
  });
});
