import { describe, expect, it } from 'vitest';
import { runRanks } from '../../helpers/ranks.js';

const setting = `
  const group = distributed.initProcessGroup({ timeoutSeconds: 60 });
  const { rank } = group;
  torch.manualSeed(3);
  const model = new nn.Sequential(new nn.Linear(8, 16), new nn.GELU(), new nn.Linear(16, 4));
  const parameters = [...model.parameters()];
  const input = torch.randn([6, 8]);
  const loss = (from, rows) => model.forward(input.narrow(0, from, rows)).square().mean();
  const mine = () => loss(rank * 3, 3);
  loss(0, 6).backward();
  const whole = parameters.map(({ grad }) => grad.clone());
  const clear = () => { for (const parameter of parameters) parameter.grad = null; };
  const largestError = () => Math.max(
    ...parameters.map(({ grad }, i) => grad.sub(whole[i]).abs().max().item()));
  clear();`;

describe('GradientBuckets', () => {
  it('01 gives the gradients of the whole batch, whatever the buckets', async () => {
    const ranks = await runRanks(
      2,
      `${setting}
      const errors = [];
      for (const bucketBytes of [1, 300, 25e6]) {
        const buckets = new distributed.GradientBuckets(parameters, group, { bucketBytes });
        for (const set of ['null', 'there']) {
          if (set === 'null') clear();
          else for (const { grad } of parameters) grad.zero_();
          mine().backward();
          buckets.finish();
          errors.push(largestError());
        }
        clear();
        buckets.hold(() => mine().mul(0.25).backward());
        mine().mul(0.75).backward();
        buckets.finish();
        errors.push(largestError());
        clear();
        buckets.dispose();
      }
      say(Math.max(...errors));
      const buckets = new distributed.GradientBuckets(parameters, group, { operation: 'sum' });
      mine().mul(0.5).backward();
      buckets.finish();
      say([largestError(), buckets.bytes, buckets.waitedMs >= 0]);
      say(torch.memory().tensors > 0);
      buckets.dispose();
      say(caught(() => buckets.finish()));
      clear();
      mine().backward();`,
    );
    for (const { said, status, stderr } of ranks) {
      expect(status, stderr).toBe(0);
      expect(said[0]).toBeLessThan(1e-7);
      const [error, bytes, waited] = said[1] as [number, number, boolean];
      expect([error < 1e-7, bytes, waited]).toEqual([
        true,
        4 * (8 * 16 + 16 + 16 * 4 + 4 + 4),
        true,
      ]);
      expect(said[3]).toMatch(/^M3L_DISPOSED/);
    }
  });

  it('02 waits for no parameter that a rank, or no rank, has used', async () => {
    const ranks = await runRanks(
      2,
      `${setting}
      const some = torch.ones([2]).requiresGrad_();
      const none = torch.ones([2]).requiresGrad_();
      const all = [some, ...parameters, none];
      const buckets = new distributed.GradientBuckets(all, group, { bucketBytes: 300 });
      for (let step = 0; step < 2; step++) {
        clear();
        some.grad = null;
        (rank === 1 ? mine().add(some.sum()) : mine()).backward();
        buckets.finish();
        say([largestError() < 1e-7, some.grad.toArray(), none.grad]);
      }
      clear();
      mine().backward();
      say(caught(() => mine().backward()));`,
    );
    for (const { said, stderr } of ranks) {
      expect(said, stderr).toEqual([
        [true, [0.5, 0.5], null],
        [true, [0.5, 0.5], null],
        expect.stringMatching(/second gradient of a parameter .*hold\(\)/),
      ]);
    }
  });

  it('03 refuses models that differ, and what has no gradient', async () => {
    const ranks = await runRanks(
      2,
      `${setting}
      const buckets = (list, options) => () => new distributed.GradientBuckets(list, group, options);
      say(caught(buckets([torch.ones([2 + rank]).requiresGrad_()])));
      say(caught(buckets(parameters, { bucketBytes: 100 + rank })));
      say(caught(buckets([torch.ones([2])])));
      say(caught(buckets([parameters[0].mul(2)])));
      say(caught(buckets([parameters[0], parameters[0]])));
      say(caught(buckets([])));
      say(caught(() => new distributed.GradientBuckets(parameters, {})));`,
    );
    for (const { said, stderr } of ranks) {
      expect(said, stderr).toEqual([
        expect.stringMatching(
          /^M3L_DISTRIBUTED_MISMATCH: .*rank 0 has float32 \[2\] as parameters\[0\], rank 1 float32 \[3\]/,
        ),
        expect.stringMatching(/rank 0 has buckets of 100 bytes, rank 1 of 101/),
        expect.stringMatching(/one that requires no gradient as parameters\[0\]/),
        expect.stringMatching(/one that was computed as parameters\[0\]/),
        expect.stringMatching(/one that is there already as parameters\[1\]/),
        expect.stringMatching(/not empty/),
        expect.stringMatching(/expected a ProcessGroup/),
      ]);
    }
  });
});
