import { type ComparedRun, compareRuns, type RunScore } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { comparisonTable, gainLines, seedTable } from '../../dist/cli/comparison-table.js';

const score = (fill: RunScore['fill'], robustMeanIoU: number): RunScore => ({
  fill,
  robustMeanIoU,
  cases: [{ name: 'all', meanIoU: robustMeanIoU }],
});
const run = (framework: string, seed: number, ...scores: RunScore[]): ComparedRun => ({
  ...{ framework, seed, scores, run: '', samples: null, seconds: 1 },
});

// Zeros are the better fill with seed 2, noise over both.
const RUNS = [
  run('supervised', 1, score('zeros', 0.2), score('noise', 0.4)),
  run('supervised', 2, score('zeros', 0.3), score('noise', 0.2)),
  run('m3l', 1, score(null, 0.5)),
  run('m3l', 2, score(null, 0.7)),
];

describe('compareRuns', () => {
  const comparison = compareRuns(RUNS, 'zeros');

  it('01 has a row a framework and fill, the best fill by its mean', () => {
    const rows = comparison.rows.map(({ framework, fill, best }) => [framework, fill, best]);
    expect(rows).toEqual([
      ['supervised', 'zeros', false],
      ['supervised', 'noise', true],
      ['m3l', null, true],
    ]);
    const { mean, deviation, values } = comparison.rows[1]!.robustMeanIoU;
    expect(values).toEqual([0.4, 0.2]);
    expect([mean, deviation]).toEqual([expect.closeTo(0.3), expect.closeTo(0.1)]);
  });

  it('02 tells gains seed by seed, with the best fill and the configured one', () => {
    const gains = comparison.gains.map(({ framework, baseline, fill, points }) => [
      ...[framework, baseline, fill],
      points.values.map((value) => Math.round(value)),
    ]);
    expect(gains).toEqual([
      ['m3l', 'supervised', 'best', [10, 50]],
      ['m3l', 'supervised', 'zeros', [30, 40]],
    ]);
    expect(comparison.gains[1]!.points.mean).toBeCloseTo(35);
  });

  it('03 shows all of it', () => {
    const lines = comparisonTable(comparison).split('\n');
    expect(lines[3]).toMatch(/^supervised\s+30\.0\s+30\.0 ± 10\.0\s+noise \*$/);
    expect(lines[2]).toMatch(/zeros$/);
    expect(lines.at(-1)).toBe('* the fill that serves a framework best');
    expect(seedTable(comparison)).toMatch(/m3l\s+mask token\s+50\.0\s+70\.0/);
    expect(gainLines(comparison)).toEqual([
      'm3l over supervised, each with its best fill: +30.0 ± 20.0 points (by seed: +10.0, +50.0)',
      'm3l over supervised, filled with zeros: +35.0 ± 5.0 points (by seed: +30.0, +40.0)',
    ]);
    const best = comparisonTable(comparison, { bestOnly: true });
    expect(best).not.toContain('zeros');
    expect(best).not.toContain('*');
  });

  it('04 tells a loss, no gain over itself, and no spread of a single seed', () => {
    const one = compareRuns([run('m3l', 1, score(null, 0.5)), RUNS[0]!], 'mean');
    expect(gainLines(one)).toEqual(['supervised over m3l, each with its best fill: -10.0 points']);
    expect(comparisonTable(one)).not.toContain('±');
    expect(compareRuns([RUNS[2]!], 'zeros').gains).toEqual([]);
  });
});
