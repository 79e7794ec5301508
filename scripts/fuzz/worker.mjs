// Runs the cases of one target, each when the parent asks for it.
import { writeFileSync } from 'node:fs';
import { M3lError } from '../../dist/torch/errors.js';
import { Random } from './mutate.mjs';
import { targetNamed } from './targets.mjs';

const [name, seed, path] = process.argv.slice(2);
const target = targetNamed(name);
const file = `${path}.${target.extension}`;
const seeds = await target.seeds();

// Valid files first: they must be read, and what they need is loaded then.
for (const bytes of seeds) {
  if (target.name !== 'set') writeFileSync(file, bytes);
  else writeFileSync(file, JSON.stringify([bytes.toString()]));
  await target.read(file);
}

process.on('message', async (index) => {
  target.make(seeds, new Random(Number(seed), index, nameHash(name)), file, index);
  const errors = await target.read(file);
  const uncoded = errors.find(
    (error) => !(error instanceof M3lError && /^M3L_[A-Z_]+$/.test(error.code)),
  );
  process.send({
    failure: uncoded === undefined ? null : String(uncoded?.stack ?? uncoded).slice(0, 2000),
    refused: errors.length > 0,
    memory: process.resourceUsage().maxRSS * 1024,
  });
});
process.send({ ready: true, memory: process.resourceUsage().maxRSS * 1024 });

function nameHash(text) {
  return [...text].reduce((hash, letter) => Math.imul(hash, 31) + letter.charCodeAt(0), 7);
}
