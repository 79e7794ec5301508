import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../..');

describe('docs/configuration.md', () => {
  it('01 is what the schema gives', () => {
    const script = 'scripts/generate/config-reference.mjs';
    const { stdout, stderr } = spawnSync(process.execPath, [script, '--check'], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(stdout.trim(), stderr).toBe('docs/configuration.md is up to date');
  });

  it('02 describes every key', () => {
    const page = readFileSync(join(root, 'docs/configuration.md'), 'utf8');
    const rows = page.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows.length).toBeGreaterThan(80);
    const bare = rows.filter((row) => /\|\s*\|$/.test(row) || row.includes('| any |'));
    expect(bare).toEqual([]);
  });
});
