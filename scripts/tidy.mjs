#!/usr/bin/env node
// clang-tidy over binding/ with the flags of the last build: `npm run tidy [-- part of a path …]`.
// It takes about half a minute a file, so that it is no part of `npm test`.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { firstInstalled } from './tools.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const commands = join(root, 'build', 'compile_commands.json');

function main() {
  const program = firstInstalled('clang-tidy-19', 'clang-tidy');
  if (program === undefined) return refuse('clang-tidy not found: apt-get install clang-tidy-19');
  if (!existsSync(commands)) return refuse('no build found: npm run setup');
  /** @type {{ file: string }[]} */
  const units = JSON.parse(readFileSync(commands, 'utf8'));
  const wanted = process.argv.slice(2);
  const files = [...new Set(units.map(({ file }) => relative(root, file)))]
    .filter((file) => file.startsWith('binding/'))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
    .sort();
  if (files.length === 0) return refuse(`no file of the build matches ${wanted.join(', ')}`);
  let clean = 0;
  for (const [index, file] of files.entries()) {
    console.error(`[${index + 1}/${files.length}] ${file}`);
    if (isClean(program, file)) clean += 1;
  }
  console.log(`${clean} clean, ${files.length - clean} not`);
  process.exitCode = clean === files.length ? 0 : 1;
}

/** Prints what is not. @param {string} program @param {string} file */
function isClean(program, file) {
  // gcc's precompiled headers lie beside the sources' flags; clang reads the headers themselves.
  const args = ['-p', 'build', '--quiet', '--extra-arg=-Wno-ignored-gch', file];
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) console.log(stdout.trim() === '' ? stderr : stdout);
  return status === 0;
}

/** @param {string} reason */
function refuse(reason) {
  console.error(`tidy: ${reason}`);
  process.exitCode = 1;
}

main();
