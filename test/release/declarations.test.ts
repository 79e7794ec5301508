import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string>;
};
const entries = Object.values(exports).filter((file) => file.endsWith('.js'));

/** The texts of the declarations that one brings along, by file. */
function declarations(file: string, found = new Map<string, string>()): Map<string, string> {
  if (found.has(file)) return found;
  const text = readFileSync(file, 'utf8');
  found.set(file, text);
  for (const [, path] of text.matchAll(/(?:from|import\(?) ?'(\.[^']+)\.js'/g)) {
    declarations(join(dirname(file), `${path}.d.ts`), found);
  }
  return found;
}

describe('declarations', () => {
  // Whoever compiles with `types: []`, TypeScript 7's default, has no global of Node's otherwise.
  it.each(entries)('01 of %s name what they need of Node and of the language', (entry) => {
    const file = join(root, entry.replace(/js$/, 'd.ts'));
    const all = [...declarations(file).values()].join('\n');
    const needs = {
      '/// <reference types="node"': /\b(AbortSignal|Buffer|NodeJS|URL)\b/,
      '/// <reference lib="esnext.disposable"': /\[Symbol\.(asyncD|d)ispose\]/,
    };
    for (const [reference, need] of Object.entries(needs)) {
      if (need.test(all)) expect(all).toContain(reference);
    }
  });
});
