// What a command writes into a page of docs/, between two comments of it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../dist/cli/output.js';
import { writeFileAtomic } from '../dist/experiment/index.js';

/**
 * A page with a text put between its `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
 * @param {string} page @param {string} name @param {string} command that writes it @param {string} text
 */
export function withBetween(page, name, command, text) {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const [head, rest] = page.split(begin);
  const tail = rest?.split(end)[1];
  if (tail === undefined) throw new UsageError(`${begin} … ${end} is not there: put it back.`);
  const said = `Written by \`${command}\`; do not edit.`;
  return `${head}${begin}\n\n${said}\n\n${text}\n\n${end}${tail}`;
}

/**
 * The same of docs/PAGE.
 * @param {string} page @param {string} name @param {string} command @param {string} text
 */
export function writeBetween(page, name, command, text) {
  const file = fileURLToPath(new URL(`../docs/${page}`, import.meta.url));
  try {
    writeFileAtomic(file, withBetween(readFileSync(file, 'utf8'), name, command, text));
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`docs/${page}: ${error.message}`);
    throw error;
  }
}
