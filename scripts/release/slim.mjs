// What of the compiled library nobody reads is left out of its package: comments in JavaScript (a
// declaration keeps its own, which editors show) and declarations that no entry point leads to.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

/** @param {string} folder the staged package */
export function slim(folder) {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) =>
    resolve(folder, name),
  );
  for (const file of files.filter((name) => name.endsWith('.js'))) {
    writeFileSync(file, withoutComments(readFileSync(file, 'utf8')));
  }
  const reached = reachedDeclarations(folder);
  for (const file of files.filter((name) => name.endsWith('.d.ts'))) {
    if (!reached.has(file)) rmSync(file);
  }
}

/** The same statements on lines of their own: a stack trace stays readable. @param {string} text */
function withoutComments(text) {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: {
      removeComments: true,
      target: ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  });
  return outputText;
}

/** @param {string} folder @returns {Set<string>} */
function reachedDeclarations(folder) {
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const entries = Object.values(exports)
    .filter((path) => path.endsWith('.js'))
    .map((path) => join(folder, path.replace(/\.js$/, '.d.ts')));
  const program = ts.createProgram(entries, {
    module: ts.ModuleKind.NodeNext,
    noLib: true,
    types: [],
  });
  return new Set(program.getSourceFiles().map(({ fileName }) => resolve(fileName)));
}
