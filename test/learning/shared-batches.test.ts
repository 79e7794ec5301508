import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { freePort } from '../../dist/cli/launch.js';

const folder = mkdtempSync(join(tmpdir(), 'm3l-shared-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SCRIPT = fileURLToPath(new URL('shared-step.mjs', import.meta.url));

interface Report {
  loss: number;
  parts: Record<string, number>;
  health: Record<string, number | number[]>;
  gradientNorm: number;
}

interface Outcome {
  reports: Report[];
  /** Which parameters have a gradient, and all of these in a row. */
  gradients: Record<string, boolean>;
  values: Float32Array;
  /** Of each tensor of the training's state the sum of absolute values. */
  sums: Record<string, number>;
  /** The running statistics of each BatchNorm. */
  running: [string, number[]][];
  /** Whether they are equal in all processes. */
  same: boolean;
}

/** Runs the case in so many processes; what the first of them found. */
async function run(setting: object, processes: number): Promise<Outcome> {
  const out = join(folder, `${processes}.json`);
  const port = await freePort();
  const ends = Array.from({ length: processes }, (_, rank) => {
    const env = {
      ...process.env,
      OMP_NUM_THREADS: '1',
      RANK: String(rank),
      WORLD_SIZE: String(processes),
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: String(port),
    };
    const child = spawn(process.execPath, [SCRIPT, JSON.stringify(setting), out], { env });
    let said = '';
    child.stderr.on('data', (text) => {
      said += text;
    });
    return new Promise<void>((settle, fail) => {
      child.on('close', (code) => (code === 0 ? settle() : fail(new Error(said))));
    });
  });
  await Promise.all(ends);
  const { buffer } = Uint8Array.from(readFileSync(`${out}.gradients`));
  return { ...JSON.parse(readFileSync(out, 'utf8')), values: new Float32Array(buffer) };
}

/** ‖a − b‖ / ‖a‖ over all gradients; those that one has the other has too. */
function distance(one: Outcome, other: Outcome): number {
  expect(other.gradients).toEqual(one.gradients);
  let [apart, whole] = [0, 0];
  for (const [i, value] of one.values.entries()) {
    apart += (value - other.values[i]!) ** 2;
    whole += value ** 2;
  }
  return Math.sqrt(apart / whole);
}

/** @param rounding names of what has no gradient but rounding, of which Adam makes a step */
function expectSame(one: Outcome, two: Outcome, rounding?: RegExp): void {
  expect(two.same).toBe(true);
  expect(distance(one, two)).toBeLessThan(1e-6);
  for (const [t, { loss, parts, health, gradientNorm }] of one.reports.entries()) {
    const other = two.reports[t]!;
    const relative = (found: number, expected: number) =>
      Math.abs(found - expected) / Math.max(1, Math.abs(expected));
    expect(relative(other.loss, loss), `loss of step ${t}`).toBeLessThan(1e-5);
    expect(relative(other.gradientNorm, gradientNorm)).toBeLessThan(1e-4);
    for (const [name, value] of Object.entries({ ...parts, ...health })) {
      const found = [{ ...other.parts, ...other.health }[name]!].flat();
      for (const [i, expected] of [value].flat().entries()) {
        expect(relative(found[i]!, expected), `${name} of step ${t}`).toBeLessThan(1e-4);
      }
    }
  }
  for (const [name, sum] of Object.entries(one.sums)) {
    if (rounding?.test(name)) continue;
    expect(Math.abs(two.sums[name]! - sum), name).toBeLessThan(1e-3 * Math.max(1, sum));
  }
}

// What two processes with half of the batch each come to is what one with all of it does, up to rounding.
describe('a batch that two processes share', { timeout: 600_000 }, () => {
  const cases: [string, object][] = [
    [
      'm3l: masks, boxes, colours, adaptive thresholds, few hard pixels',
      {
        framework: 'm3l',
        steps: 3,
        options: { ohem: { threshold: 0.05 }, reportTeacherLoss: true },
      },
    ],
    [
      'cps with class weights, a focal and a Dice loss',
      {
        framework: 'cps',
        options: {
          classWeights: [1, 2, 0.5],
          focal: 1,
          dice: 0.5,
          cutMix: 1,
          ohem: { threshold: 0.05 },
        },
      },
    ],
    [
      'mean teacher with BatchNorm by the statistics of the batch',
      {
        framework: 'mean-teacher',
        model: { freezeBatchNorm: false },
        options: { freezeBatchNorm: false },
      },
    ],
  ];
  it.each(cases)('%s', async (_, setting) => {
    // A BatchNorm takes away what these add to a channel.
    const rounding = 'model' in setting ? /linear_c\d\.proj\.bias$/ : undefined;
    expectSame(await run(setting, 1), await run(setting, 2), rounding);
  });

  it('trains with live BatchNorm for ten steps as one process does', async () => {
    const setting = {
      framework: 'mean-teacher',
      steps: 10,
      sgd: 0.002,
      model: { freezeBatchNorm: false },
      options: { freezeBatchNorm: false },
    };
    const [one, two] = [await run(setting, 1), await run(setting, 2)];
    expect(two.same).toBe(true);
    expect(one.reports).toHaveLength(10);
    for (const [t, { loss }] of one.reports.entries()) {
      const apart = Math.abs(two.reports[t]!.loss - loss);
      expect(apart, `loss of step ${t}`).toBeLessThan(1e-4 * loss);
    }
    // Mean and variance of student and teacher.
    expect(one.running).toHaveLength(4);
    for (const [i, [name, values]] of one.running.entries()) {
      for (const [channel, value] of values.entries()) {
        const apart = Math.abs(two.running[i]![1][channel]! - value);
        expect(apart, `${name}[${channel}]`).toBeLessThan(1e-4 * Math.max(1, Math.abs(value)));
      }
    }
    expect(Math.max(...one.running[0]![1].map(Math.abs))).toBeGreaterThan(1e-3);
  });

  it('takes each process’s own loss and the gradients’ mean with lossOver: process', async () => {
    const options = { lossOver: 'process', ohem: { threshold: 0.05 } };
    const one = await run({ framework: 'supervised', options }, 1);
    const two = await run({ framework: 'supervised', options }, 2);
    expect(two.same).toBe(true);
    expect(distance(one, two)).toBeGreaterThan(1e-3);
    expect(Math.abs(two.reports[0]!.loss - one.reports[0]!.loss)).toBeGreaterThan(1e-4);
  });
});
