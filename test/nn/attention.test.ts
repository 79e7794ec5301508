import { nn, torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { filled, values } from './sines.js';

const F = nn.functional;
const near = { rtol: 1e-5, atol: 1e-6 };

/** Two heads of E = 4, a query of 3, keys of 5, a batch of 2. */
function attention() {
  const layer = filled(new nn.MultiheadAttention(4, 2));
  const [query, key, value] = [3, 5, 5].map((length, i) => values(i, [length, 2, 4]));
  const { inProjWeight, inProjBias, outProj } = layer;
  const call = (
    options: Parameters<typeof F.multiHeadAttentionForward>[13],
    weight = inProjWeight,
  ) =>
    F.multiHeadAttentionForward(
      query!,
      key!,
      value!,
      4,
      2,
      weight,
      inProjBias,
      null,
      null,
      false,
      0,
      outProj.weight,
      outProj.bias,
      options,
    );
  return { layer, query: query!, key: key!, value: value!, call };
}

describe('multiHeadAttentionForward', () => {
  it('is the layer with its weights, in one matrix or in three', () => {
    torch.scope(() => {
      const { layer, query, key, value, call } = attention();
      using _ = layer;
      const [output, weights] = layer.forward(query, key, value);
      const [q, k, v] = layer.inProjWeight!.chunk(3);
      const separate = { useSeparateProjWeight: true, qProjWeight: q!, kProjWeight: k! };
      for (const [found, shares] of [call({}), call({ ...separate, vProjWeight: v! }, null)]) {
        expect(found).toBeCloseToTensor(output.detach(), near);
        expect(shares!).toBeCloseToTensor(weights!.detach(), near);
      }
    });
  });

  it('takes keys and values that are projected already', () => {
    torch.scope(() => {
      const { layer, key, value, call } = attention();
      using _ = layer;
      const weights = layer.inProjWeight!.chunk(3);
      const biases = layer.inProjBias!.chunk(3);
      const projected = (x: torch.Tensor, i: number) =>
        torch.linear(x, weights[i]!, biases[i]!).reshape([5, 4, 2]).transpose(0, 1);
      const given = { staticK: projected(key, 1), staticV: projected(value, 2) };
      const [expected] = call({});
      const [found] = call(given);
      expect(found).toBeCloseToTensor(expected.detach(), near);
      const [changed] = call({ ...given, staticV: given.staticV.mul(2) });
      expect(changed.allclose(expected)).toBe(false);
    });
  });

  it('refuses what does not fit', () => {
    torch.scope(() => {
      const { layer, query, call } = attention();
      using _ = layer;
      expect(() => call({ isCausal: true })).toThrow(/found isCausal without attnMask/);
      expect(() => call({ attnMask: torch.ones([2, 2]) })).toThrow(
        /attnMask of shape \[2,2\], exp/,
      );
      expect(() => call({}, null)).toThrow(/the weight of a projection: found undefined/);
      expect(() => call({ useSeparateProjWeight: true })).toThrow(/a projection: found null/);
      const [first] = query.unbind(0);
      expect(() => layer.forward(query, first!, query)).toThrow(/keys and values of one rank/);
    });
  });
});

describe('linearCrossEntropy', () => {
  it('refuses what does not fit', () => {
    torch.scope(() => {
      const [x, weight] = [values(0, [2, 3]), values(1, [4, 3])];
      const classes = torch.tensor([1, 2], { dtype: 'int64' });
      const call = (w: torch.Tensor, options = {}) => F.linearCrossEntropy(x, w, classes, options);
      expect(() => call(values(1, [4, 2]))).toThrow(/weights of shape \[4,2\], expected \[C,…,3\]/);
      expect(() => call(weight, { linearBias: x })).toThrow(
        /bias of shape \[2,3\], expected \[4\]/,
      );
      expect(() => F.linearCrossEntropy(x.select(0, 0), values(1, [4, 2, 3]), classes)).toThrow(
        /expected a batch \[B,3\]/,
      );
      const probabilities = torch.softmax(values(2, [2, 4]), 1);
      expect(() => F.linearCrossEntropy(x, weight, probabilities, { ignoreIndex: 1 })).toThrow(
        /ignoreIndex 1 with probabilities/,
      );
      expect(() => new nn.LinearCrossEntropyLoss(3, 4, { weight: torch.ones([3]) })).toThrow(
        /weights of shape \[3\], expected \[4\]/,
      );
    });
  });
});
