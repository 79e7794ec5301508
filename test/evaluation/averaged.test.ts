import { torch } from 'm3l';
import { AveragedNetworks } from 'm3l/evaluation';
import { createModel } from 'm3l/models';
import { expect, it } from 'vitest';

it('networks together say the mean of what each says', () => {
  torch.scope(() => {
    const make = () => createModel({ name: 'segformer', backbone: 'mit-b0', numClasses: 3 });
    const members = [make(), make()];
    const both = new AveragedNetworks(members);
    both.eval();
    expect(members.map(({ training }) => training)).toEqual([false, false]);
    expect(both.parameters()).toHaveLength(2 * members[0]!.parameters().length);
    both.precision = 'bfloat16';
    expect(members[1]!.precision).toBe('bfloat16');
    both.precision = 'float32';
    const inputs = [torch.randn([1, 3, 32, 32])];
    const [one, two] = members.map((member) => member.forward(inputs).ensemble);
    const wanted = one!.add(two!).div(2);
    expect(both.forward(inputs).ensemble).toBeCloseToTensor(wanted);
    const [small] = both.forwardHeads(inputs, ['ensemble'], { upsample: false });
    expect(small!.shape).toEqual([1, 3, 8, 8]);
  });
});
