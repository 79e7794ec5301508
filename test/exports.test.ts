import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const { exports } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  exports: Record<string, string>;
};
const entries = Object.entries(exports)
  .filter(([, path]) => path.endsWith('.js'))
  .map(([name, path]): [string, string] => [name, `${root}${path.replace(/\.js$/, '.d.ts')}`]);

describe('public exports', () => {
  const program = ts.createProgram(
    entries.map(([, file]) => file),
    {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      types: [],
    },
  );
  const checker = program.getTypeChecker();

  it.each(entries)('%s has a comment for each, and its files', (_, file) => {
    expect(existsSync(file)).toBe(true);
    const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)!;
    const found = checker.getExportsOfModule(module).map((symbol) => ({
      name: symbol.name,
      symbol: symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
    }));
    expect(found.length).toBeGreaterThan(0);
    const bare = found
      // A module that is exported as a name has its comment in its own file.
      .filter(({ symbol }) => !(symbol.flags & ts.SymbolFlags.ValueModule))
      .filter(({ symbol }) => symbol.getDocumentationComment(checker).length === 0)
      .map((one) => one.name);
    expect(bare).toEqual([]);
  });
});
