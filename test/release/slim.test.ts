import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const script = join(root, 'scripts/release/slim.mjs');
const { slim } = (await import(script)) as { slim(folder: string): void };

let folder: string;
const read = (name: string) => readFileSync(join(folder, name), 'utf8');

describe('what a package leaves out', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'm3l-slim-'));
    for (const name of ['dist', 'types', 'package.json']) {
      cpSync(join(root, name), join(folder, name), { recursive: true });
    }
    slim(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('01 comments in JavaScript, not the lines, the first line of a program or a template', () => {
    const before = readFileSync(join(root, 'dist/torch/invoke.js'), 'utf8');
    const after = read('dist/torch/invoke.js');
    expect(before).toContain('/** All overloads of one operator name');
    expect(after).not.toMatch(/^\s*(\/\/|\/?\*)/m);
    expect(after.split('\n').length).toBeGreaterThan(150);
    expect(after).toContain('        throw this.#refusal(args, options);\n');
    expect(read('dist/cli/main.js')).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(read('dist/libtorch/pins.js')).toContain('://');
  });

  it('02 declarations keep their comments', () => {
    expect(read('dist/torch/scope.d.ts')).toContain('/**');
  });

  it('03 declarations that no entry point leads to', () => {
    expect(existsSync(join(folder, 'dist/cli/main.d.ts'))).toBe(false);
    expect(existsSync(join(folder, 'dist/torch/addon.d.ts'))).toBe(false);
    expect(existsSync(join(folder, 'dist/torch/addon.js'))).toBe(true);
  });

  it('04 and none that another names', () => {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const declarations = names.filter((name) => name.endsWith('.d.ts'));
    expect(declarations.length).toBeGreaterThan(100);
    const missing = declarations.flatMap((name) =>
      [...read(name).matchAll(/(?:from |import\()['"](\.[^'"]+)['"]/g)]
        .map(([, path]) => join(name, '..', path!).replace(/(\.d)?\.[jt]s$/, '.d.ts'))
        .filter((path) => !declarations.includes(path)),
    );
    expect(missing).toEqual([]);
  });
});
