import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { MetricsTail } from '../../dist/view/metrics-tail.js';

const folder = mkdtempSync(join(tmpdir(), 'm3l-tail-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const train = (iteration: number, loss: number | null = 1 / iteration) =>
  `${JSON.stringify({ kind: 'train', iteration, loss, parts: { sup: 2 }, learningRates: [1e-3, 1e-3, 4e-3], seconds: 0.5, waitSeconds: 0.5 })}\n`;

const evaluation = (iteration: number) =>
  `${JSON.stringify({
    kind: 'evaluation',
    iteration,
    robustMeanIoU: 0.4,
    classes: ['a', 'b'],
    images: 3,
    models: [
      {
        model: 'network',
        heads: [
          { head: 'rgb', robustMeanIoU: 0.3, cases: [] },
          {
            head: 'ensemble',
            robustMeanIoU: 0.4,
            cases: [
              { name: 'all', missing: [], meanIoU: 0.5, pixelAccuracy: 0.9, classIoU: [0.5, null] },
            ],
          },
        ],
      },
    ],
  })}\n`;

describe('a run’s log as it grows', () => {
  it('reads whole lines, and a line in two parts once it is whole', async () => {
    const path = join(folder, 'grows.jsonl');
    const second = train(2);
    writeFileSync(path, train(1) + second.slice(0, 20));
    const tail = new MetricsTail(path, 12);
    await tail.read();
    expect(tail.train.since(0).x).toEqual([1]);
    appendFileSync(path, second.slice(20) + evaluation(2));
    await tail.read();
    const { x, columns } = tail.train.since(1);
    expect(x).toEqual([2]);
    expect(columns).toMatchObject({
      loss: [0.5],
      'parts.sup': [2],
      'learningRate.1': [1e-3],
      'learningRate.2': [4e-3],
      imagesPerSecond: [12],
    });
    expect(tail.evaluations).toEqual([{ iteration: 2, robustMeanIoU: 0.4, cases: { all: 0.5 } }]);
    expect(tail.latest?.heads[0]).toMatchObject({ head: 'ensemble' });
  });

  it('begins anew where the file was replaced, as resuming does', async () => {
    const path = join(folder, 'replaced.jsonl');
    writeFileSync(path, train(1) + train(2) + train(3));
    const tail = new MetricsTail(path, null);
    await tail.read();
    const { begun } = tail;
    writeFileSync(`${path}.tmp`, train(1));
    renameSync(`${path}.tmp`, path);
    await tail.read();
    expect(tail.begun).toBe(begun + 1);
    expect(tail.train.since(0).x).toEqual([1]);
  });

  it('passes over what is damaged, of another shape, or not there', async () => {
    const path = join(folder, 'damaged.jsonl');
    const tail = new MetricsTail(path, null);
    await tail.read();
    const odd = [
      'not json',
      '{"kind":"train"}',
      '{"kind":"evaluation","iteration":3,"robustMeanIoU":null,"models":[{"model":"m","heads":[{"head":"x","cases":[{}]}]}]}',
      '{"kind":"train","iteration":4,"loss":null,"parts":{"a":"NaN"},"learningRates":"x"}',
      '\u0000',
    ];
    writeFileSync(path, `${odd.join('\n')}\n${train(5)}`);
    await tail.read();
    expect(tail.train.since(0).x).toEqual([4, 5]);
    expect(tail.train.since(0).columns.loss).toEqual([null, 0.2]);
    expect(tail.latest).toBeNull();
    expect(tail.evaluations).toHaveLength(1);
  });

  it('keeps a few thousand points of a million steps, and all evaluations', async () => {
    const path = join(folder, 'long.jsonl');
    const file: string[] = [];
    for (let i = 1; i <= 1_000_000; i++) {
      file.push(`{"kind":"train","iteration":${i},"loss":${1 / i}}\n`);
      if (i % 100_000 === 0) file.push(evaluation(i));
    }
    writeFileSync(path, file.join(''));
    const tail = new MetricsTail(path, null);
    await tail.read();
    const { x } = tail.train.since(0);
    expect(x.length).toBeGreaterThan(1000);
    expect(x.length).toBeLessThan(4000);
    const gaps = new Set(x.slice(1).map((value, i) => value - x[i]!));
    expect(gaps.size).toBe(1);
    expect(x.at(-1)).toBeGreaterThan(999_000);
    expect(tail.evaluations).toHaveLength(10);
  });
});
