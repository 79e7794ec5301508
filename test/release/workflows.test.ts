import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(root, '.github/workflows');
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

interface Workflow {
  jobs: Record<string, { steps: { uses?: string; run?: string }[] }>;
}

describe.each(readdirSync(folder))('the workflow %s', (name) => {
  const { jobs } = parse(readFileSync(join(folder, name), 'utf8')) as Workflow;
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  it('01 pins what it uses to a version', () => {
    for (const { uses } of steps) {
      if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d+\.\d+\.\d+$/);
    }
  });

  it('02 runs what there is', () => {
    const run = steps.map((step) => step.run ?? '').join('\n');
    for (const [, script] of run.matchAll(/npm run ([\w:]+)/g)) {
      expect(scripts).toHaveProperty([script!]);
    }
    for (const [file] of run.matchAll(/scripts\/[\w/-]+\.mjs|^\.ci\/\w+/gm)) {
      expect(existsSync(join(root, file)), file).toBe(true);
    }
  });
});
