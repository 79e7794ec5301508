import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const live = () => torch.memory().tensors;
const pause = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));

describe('scope', () => {
  it('01 releases what it does not return', () => {
    const before = live();
    const outer = torch.scope(() => {
      const inner = torch.ones([2]);
      const kept = inner.add(1);
      expect(live()).toBe(before + 2);
      return kept;
    });
    expect(live()).toBe(before + 1);
    expect(outer.toArray()).toEqual([2, 2]);
    outer.dispose();
    expect(live()).toBe(before);
  });

  it('02 keeps tensors in arrays, objects, Maps and Sets, and cycles do not matter', () => {
    const before = live();
    torch.scope(() => {
      const result = torch.scope(() => {
        torch.ones([1]);
        const value: Record<string, unknown> = {
          list: [torch.zeros([1]), [torch.zeros([2])]],
          map: new Map([['a', torch.zeros([3])]]),
          set: new Set([torch.zeros([4])]),
          number: 3,
        };
        value.self = value;
        return value as { list: [torch.Tensor]; map: Map<string, torch.Tensor> };
      });
      expect(live()).toBe(before + 4);
      expect(result.map.get('a')?.shape).toEqual([3]);
    });
    expect(live()).toBe(before);
  });

  it('03 a nested scope gives to the one around it', () => {
    const before = live();
    let inner!: torch.Tensor;
    torch.scope(() => {
      inner = torch.scope(() => torch.scope(() => torch.ones([1])));
      expect(inner.isLive).toBe(true);
    });
    expect(inner.isLive).toBe(false);
    expect(live()).toBe(before);
  });

  it('04 closes on a throw', () => {
    const before = live();
    expect(() =>
      torch.scope(() => {
        torch.ones([1]);
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(live()).toBe(before);
    torch.scope(() => torch.scope(() => torch.ones([1])).dispose());
  });

  it('05 keep moves a tensor one scope out', () => {
    const before = live();
    torch.scope(() => {
      let kept!: torch.Tensor;
      torch.scope(() => {
        kept = torch.keep(torch.ones([1]));
        torch.ones([1]);
      });
      expect(kept.isLive).toBe(true);
      expect(live()).toBe(before + 1);
    });
    expect(live()).toBe(before);
  });

  it('06 detached tensors outlive every scope', () => {
    const parameter = torch.scope(() => {
      torch.ones([1]);
      return { hidden: torch.detached(() => torch.ones([2])) };
    });
    expect(parameter.hidden.toArray()).toEqual([1, 1]);
    parameter.hidden.dispose();
  });

  it('07 returning a tensor of an outer scope leaves it there', () => {
    torch.scope(() => {
      const x = torch.ones([1]);
      torch.scope(() => torch.scope(() => x));
      expect(x.isLive).toBe(true);
    });
  });

  it('08 a guard closes at the end of its block', () => {
    const before = live();
    let kept: torch.Tensor;
    {
      using scope = torch.scope();
      torch.ones([1]);
      kept = scope.keep(torch.ones([2]));
      expect(live()).toBe(before + 2);
    }
    expect(live()).toBe(before + 1);
    expect(kept.isLive).toBe(true);
    kept.dispose();
  });

  it('09 an open guard inside a scope function closes with neither leak nor double release', () => {
    const before = live();
    torch.scope(() => {
      const guard = torch.scope();
      torch.ones([1]);
      guard.close();
      guard.close();
      torch.ones([1]);
    });
    expect(live()).toBe(before);
  });

  it('17 a guard that nobody closes ends with the scope function around it', async () => {
    const before = torch.memory();
    const leave = () => {
      torch.scope();
      torch.ones([1]);
      torch.scope();
      torch.ones([1]);
    };
    torch.scope(leave);
    expect(() =>
      torch.scope(() => {
        leave();
        throw new Error('x');
      }),
    ).toThrow('x');
    await torch.scope(async () => {
      leave();
      await pause();
      leave();
    });
    const { tensors, scopes } = torch.memory();
    expect([tensors, scopes]).toEqual([before.tensors, before.scopes]);
    const outside = torch.ones([1]);
    expect(torch.scope(() => outside.isLive)).toBe(true);
    outside.dispose();
  });
});

describe('async scope', () => {
  it('10 lasts until its promise settles', async () => {
    const before = live();
    const result = await torch.scope(async () => {
      const a = torch.ones([1]);
      await pause();
      expect(a.isLive).toBe(true);
      const b = a.add(1);
      await pause();
      return b.add(1);
    });
    expect(live()).toBe(before + 1);
    expect(result.item()).toBe(3);
    result.dispose();
  });

  it('11 closes when the promise rejects', async () => {
    const before = live();
    await expect(
      torch.scope(async () => {
        torch.ones([1]);
        await pause();
        torch.ones([1]);
        throw new Error('later');
      }),
    ).rejects.toThrow('later');
    expect(live()).toBe(before);
  });

  it('12 interleaved scopes do not see each other’s tensors', async () => {
    const before = live();
    const made: Record<string, torch.Tensor[]> = { a: [], b: [] };
    const task = (name: 'a' | 'b', waits: number[]) =>
      torch.scope(async () => {
        for (const wait of waits) {
          made[name]!.push(torch.ones([1]), torch.zeros([1]).add(1));
          await pause(wait);
          expect(made[name]!.every((tensor) => tensor.isLive)).toBe(true);
        }
      });
    const a = task('a', [1, 5, 1]);
    const b = task('b', [3, 1, 20, 1]);
    await a;
    expect(made.a!.some((tensor) => tensor.isLive)).toBe(false);
    expect(made.b!.some((tensor) => tensor.isLive)).toBe(true);
    await b;
    expect(made.b!.some((tensor) => tensor.isLive)).toBe(false);
    expect(live()).toBe(before);
  });

  it('13 sync scopes, detached and list results inside an async scope go where they belong', async () => {
    const before = live();
    const noise = torch.scope(async () => {
      for (let i = 0; i < 20; i++) {
        torch.ones([1]);
        await pause();
      }
    });
    const survivor = await torch.scope(async () => {
      await pause(2);
      const parts = torch.arange(4).unbind();
      await pause(2);
      expect(parts.map((part) => part.item())).toEqual([0, 1, 2, 3]);
      const sum = torch.scope(() => parts[1]!.add(parts[2]!));
      const free = torch.detached(() => torch.ones([1]));
      await pause();
      expect(sum.item()).toBe(3);
      return { free };
    });
    await noise;
    expect(live()).toBe(before + 1);
    survivor.free.dispose();
    expect(live()).toBe(before);
  });

  it('14 nested async scopes give outwards', async () => {
    const before = live();
    await torch.scope(async () => {
      const [x, y] = await Promise.all(
        [1, 2].map((value) =>
          torch.scope(async () => {
            await pause(value);
            torch.ones([3]);
            return torch.full([1], value);
          }),
        ),
      );
      await pause();
      expect([x!.item(), y!.item()]).toEqual([1, 2]);
      expect(live()).toBe(before + 2);
    });
    expect(live()).toBe(before);
  });

  it('15 a promise returned by a plain function is followed too', async () => {
    const before = live();
    const inner = async () => {
      await pause();
      return torch.ones([1]).add(1);
    };
    const other = torch.scope(async () => pause(5));
    const result = await torch.scope(() => inner());
    await other;
    expect(live()).toBe(before + 1);
    result.dispose();
  });

  it('16 code outside is not inside a scope that is open elsewhere', async () => {
    const scope = torch.scope(async () => pause(5));
    const outside = torch.ones([1]);
    await scope;
    expect(outside.isLive).toBe(true);
    outside.dispose();
  });
});
