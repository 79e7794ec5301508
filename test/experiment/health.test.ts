import type { StepReport } from 'm3l/learning';
import { describe, expect, it } from 'vitest';
import { HealthWatch } from '../../dist/experiment/health.js';

const report = (iteration: number, pseudo: number): StepReport => ({
  iteration,
  loss: 1,
  parts: {},
  health: { lambda: 0.25, labelledShares: [0.9, 0.1], pseudoShares: [1 - pseudo, pseudo] },
  learningRates: [],
  emaFactor: null,
  gradientNorm: null,
  masked: [],
  seconds: 0,
  waitSeconds: 0,
});

function watched(watch: HealthWatch, from: number, to: number, pseudo: number) {
  return Array.from({ length: to - from }, (_, i) => watch.after(report(from + i, pseudo))).filter(
    (found) => found !== null,
  );
}

describe('the health of a training', () => {
  it('has the means of each window', () => {
    const watch = new HealthWatch(['road', 'hole'], 1000);
    const windows = [...watched(watch, 0, 25, 0.1), ...watched(watch, 25, 100, 0.2)];
    expect(windows).toHaveLength(2);
    expect(windows[0]!.means).toEqual({
      lambda: 0.25,
      labelledShares: [0.9, 0.1],
      pseudoShares: [0.85, 0.15],
    });
  });

  it('tells once of a class that is lost, and again where it is lost again', () => {
    const watch = new HealthWatch(['road', 'hole'], 1000);
    const notes = (from: number, to: number, pseudo: number) =>
      watched(watch, from, to, pseudo).flatMap((window) => window.notes);
    expect(notes(0, 100, 0.1)).toEqual([]);
    const [first, ...others] = notes(100, 300, 0);
    expect(first).toMatch(
      /^Iteration 150: 'hole' has 10\.0 % of the labelled pixels and 0\.0 % of the pseudo labels; until iteration 100 it had more\. λ is at 0\.25 for that\..*framework\.supervisedIterations/,
    );
    expect(others).toEqual([]);
    expect(notes(300, 400, 0.1)).toEqual([]);
    expect(notes(400, 450, 0)).toHaveLength(1);
  });

  it('tells half-way of a class that was never said', () => {
    const watch = new HealthWatch(['road', 'hole'], 1000);
    const windows = watched(watch, 0, 1000, 0);
    const told = windows.flatMap(({ notes }, i) => notes.map((note) => [(i + 1) * 50, note]));
    expect(told).toEqual([[500, expect.stringContaining('and never had many')]]);
  });

  it('knows from the log of a resumed run what was said before', () => {
    const log = { kind: 'health', iteration: 400, ...report(0, 0.1).health } as const;
    const watch = new HealthWatch(['road', 'hole'], 1000, [log]);
    const notes = watched(watch, 400, 450, 0).flatMap((window) => window.notes);
    expect(notes).toEqual([expect.stringContaining('until iteration 400')]);
  });

  it('says nothing of a training without pseudo labels', () => {
    const watch = new HealthWatch(['road', 'hole'], 100);
    const plain = { ...report(0, 0), health: {} };
    for (let iteration = 0; iteration < 100; iteration++) {
      expect(watch.after({ ...plain, iteration })).toBeNull();
    }
  });
});
