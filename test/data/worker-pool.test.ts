import { describe, expect, it } from 'vitest';
import { WorkerPool } from '../../dist/data/worker-pool.js';

const entry = (program: string) => new URL(`data:text/javascript,${encodeURIComponent(program)}`);

describe('WorkerPool', () => {
  it.each([
    ["throw new Error('no such thing')", 'no such thing'],
    ['process.exit(3)', 'exit code 3'],
  ])('says why a thread died: %s', async (program, reason) => {
    const pool = new WorkerPool<number, number>(entry(program), 1, null);
    const died = {
      code: 'M3L_WORKER_DIED',
      message: expect.stringMatching(
        new RegExp(`^a loader thread stopped \\(${reason}\\).*With workers: 0`),
      ),
    };
    await expect(pool.run(1, 0)).rejects.toMatchObject(died);
    await expect(pool.run(2, 0)).rejects.toMatchObject(died);
    await pool.close();
  });
});
