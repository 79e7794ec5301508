import { inspect } from 'node:util';
import { optim, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

describe('a printed optimizer', () => {
  it('01 lists its groups, their learning rates and options', () =>
    torch.scope(() => {
      const leaf = (size: number[]) => torch.zeros(size).requiresGrad_();
      const [body, head] = [leaf([2, 3]), leaf([4])];
      const optimizer = new optim.SGD(
        [
          { params: [body], lr: 0.1 },
          { params: [head], name: 'head' },
        ],
        { lr: 0.5, momentum: 0.9 },
      );
      const common = [
        '    maximize: false',
        '    momentum: 0.9',
        '    nesterov: false',
        '    weightDecay: 0',
        '',
      ];
      expect(inspect(optimizer)).toBe(
        [
          'SGD (',
          'Parameter Group 0',
          '    params: 1 of 6 elements',
          '    dampening: 0',
          '    initialLr: 0.1',
          '    lr: 0.1',
          ...common,
          'Parameter Group 1 (head)',
          '    params: 1 of 4 elements',
          '    dampening: 0',
          '    initialLr: 0.5',
          '    lr: 0.5',
          ...common,
        ]
          .join('\n')
          .concat(')'),
      );
      head.dispose();
      expect(inspect(optimizer)).toContain('params: 1 of 0 elements, 1 disposed');
      optimizer.dispose();
    }));
});
