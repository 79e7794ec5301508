import { once } from 'node:events';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const errorOf = (fn: () => unknown): { code: string; message: string } => {
  try {
    torch.scope(() => void fn());
  } catch (error) {
    return error as torch.M3lError;
  }
  throw new Error('nothing was thrown');
};

describe('what libtorch says', () => {
  it('01 names options as they are written here', () => {
    const { code, message } = errorOf(() => {
      const y = torch.ones([2]).requiresGrad_().exp().sum();
      y.backward();
      y.backward();
    });
    expect(code).toBe('M3L_TORCH');
    expect(message).toContain('Specify retainGraph: true if you need');
    expect(message).not.toMatch(/retain_graph|True/);
  });

  it('02 has a code of its own where memory is wanting, on the CPU too', () => {
    expect(errorOf(() => torch.empty([2 ** 45])).code).toBe('M3L_OUT_OF_MEMORY');
  });

  it('03 is a warning of Node, and the same is said once', async () => {
    const heard: Error[] = [];
    const hear = (warning: Error) => void heard.push(warning);
    process.on('warning', hear);
    const first = once(process, 'warning');
    // One that libtorch itself repeats at every call.
    for (let i = 0; i < 3; i++) torch.scope(() => torch.ones([1]).var());
    await first;
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', hear);
    const { name, message, code } = heard[0] as Error & { code: string };
    expect([name, code]).toEqual(['TorchWarning', 'M3L_TORCH']);
    expect(message).toMatch(/^var\(\): degrees of freedom is <= 0/);
    expect(heard.filter((warning) => warning.message === message)).toHaveLength(1);
  });
});
