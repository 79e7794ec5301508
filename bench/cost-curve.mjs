#!/usr/bin/env node
// node bench/cost-curve.mjs [--write] [--json]: time and memory of our training step against resolution,
// batch, classes and modalities, each point in a process of its own.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { inChild } from './child.mjs';
import { withCurve } from './report.mjs';
import { B0 } from './step.mjs';

const DOCUMENT = new URL('../docs/benchmarks.md', import.meta.url);
const STEPS = 5;

const batch = (count) => ({
  labelled: count,
  unlabelled: count,
  branches: Array.from({ length: 2 * count }, (_, i) => (i % 3) - 1),
});
const POINTS = [
  ...[64, 128, 192, 256, 384].map((size) => ({ name: `resolution ${size}²`, size })),
  ...[1, 2, 4, 8].map((count) => ({ name: `batch L = U = ${count}`, ...batch(count) })),
  ...[2, 13, 37, 150].map((numClasses) => ({ name: `${numClasses} classes`, numClasses })),
  ...[2, 3, 4].map((count) => ({
    name: `${count} modalities`,
    modalities: ['rgb', 'depth', 'thermal', 'nir'].slice(0, count),
  })),
  ...['b0', 'b1', 'b2'].map((backbone) => ({ name: `MiT-${backbone.toUpperCase()}`, backbone })),
];

const { values } = parseArgs({
  options: {
    write: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const results = [];
for (const { name, ...varied } of POINTS) {
  const point = { name, ...(await inChild('step-memory.mjs', { ...B0, ...varied }, STEPS)) };
  results.push(point);
  const figures = `${point.ms.toFixed(0).padStart(6)} ms ${point.megabytes.toFixed(0).padStart(6)} MB`;
  console.log(values.json ? JSON.stringify(point) : `${name.padEnd(20)} ${figures}`);
}
if (values.write) writeFileSync(DOCUMENT, withCurve(readFileSync(DOCUMENT, 'utf8'), results));
