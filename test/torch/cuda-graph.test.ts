import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const cuda = torch.cuda.isAvailable();
if (!cuda) console.warn('cuda-graph: skipped, there is no CUDA device');

describe.skipIf(cuda)('torch.cuda.Graph without CUDA', () => {
  it('says so', () => {
    expect(() => new torch.cuda.Graph()).toThrow(/graph of 'cuda'.*sees no CUDA device.*doctor/);
    const { cuda_graph_create: create, cuda_graph_replay: replay } = torch.ops.m3l!;
    expect(() => create!('cuda')).toThrow(/'cuda' is asked for.*sees no CUDA device/);
    expect(() => replay!(1)).toThrow(/built without CUDA/);
  });
});

describe.skipIf(!cuda)('torch.cuda.Graph', () => {
  it('does what it recorded with what is in its tensors now', () => {
    torch.scope(() => {
      using graph = new torch.cuda.Graph();
      const [input, output] = [
        torch.zeros([4], { device: 'cuda' }),
        torch.empty([4], { device: 'cuda' }),
      ];
      const work = () => torch.scope(() => output.copy_(input.mul(2).add(1)));
      graph.warmUp(work);
      expect(output.toArray()).toEqual([1, 1, 1, 1]);
      input.fill_(1);
      graph.capture(work);
      expect(output.toArray(), 'recorded, not done').toEqual([1, 1, 1, 1]);
      for (const value of [3, 5]) {
        input.fill_(value);
        graph.replay();
        expect(output.toArray()).toEqual(Array(4).fill(2 * value + 1));
      }
    });
  });

  it('draws random numbers anew at every replay, those of the seed', () => {
    torch.scope(() => {
      using graph = new torch.cuda.Graph();
      const ones = torch.ones([1000], { device: 'cuda' });
      const output = torch.empty([1000], { device: 'cuda' });
      const work = () => torch.scope(() => output.copy_(torch.dropout(ones, 0.5, true)));
      graph.warmUp(work);
      graph.capture(work);
      const replayed = () => {
        graph.replay();
        return output.toArray();
      };
      torch.manualSeed(3);
      const [first, second] = [replayed(), replayed()];
      expect(second).not.toEqual(first);
      torch.manualSeed(3);
      expect(replayed()).toEqual(first);
      torch.manualSeed(3);
      expect(torch.dropout(ones, 0.5, true).toArray()).toEqual(first);
    });
  });

  it('records gradients', () => {
    torch.scope(() => {
      using graph = new torch.cuda.Graph();
      const weight = torch.ones([3], { device: 'cuda' }).requiresGrad_();
      const input = torch.ones([3], { device: 'cuda' });
      const work = () =>
        torch.scope(() => {
          weight.grad = null;
          weight.mul(input).square().sum().backward();
        });
      graph.warmUp(work);
      graph.capture(work);
      const gradient = weight.grad!;
      input.fill_(3);
      graph.replay();
      expect(gradient.toArray()).toEqual([18, 18, 18]);
    });
  });

  it('gives a capture up that failed, and leaves the stream as it was', () => {
    torch.scope(() => {
      const one = torch.ones([], { device: 'cuda' });
      using graph = new torch.cuda.Graph();
      expect(() => graph.replay()).toThrow(/holds nothing/);
      expect(() =>
        graph.capture(() => {
          throw new Error('no');
        }),
      ).toThrow('no');
      expect(one.add(1).item()).toBe(2);
    });
  });
});
