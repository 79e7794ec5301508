// What a command writes into a page of docs/, between two comments of it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../dist/cli/output.js';
import { writeFileAtomic } from '../dist/experiment/index.js';

/** Puts a text between `<!-- NAME: begin -->` and `<!-- NAME: end -->` of docs/PAGE. */
export function writeBetween(page, name, command, text) {
  const file = fileURLToPath(new URL(`../docs/${page}`, import.meta.url));
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const [head, rest] = readFileSync(file, 'utf8').split(begin);
  const tail = rest?.split(end)[1];
  if (tail === undefined) {
    throw new UsageError(`${file} has no ${begin} … ${end} any more: put them back.`);
  }
  const said = `Written by \`${command}\`; do not edit.`;
  writeFileAtomic(file, `${head}${begin}\n\n${said}\n\n${text}\n\n${end}${tail}`);
}
