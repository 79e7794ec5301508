export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Measures all sides in turn, each round starting with another one, so that a machine that slows down
 * or speeds up meanwhile does so for all.
 *
 * @template {string} Side
 * @param {number} runs
 * @param {Record<Side, () => number | Promise<number>>} sides `ours`, `peer` and what else is compared
 * @returns {Promise<Record<Side, number>>} medians
 */
export async function alternate(runs, sides) {
  const names = Object.keys(sides);
  const values = Object.fromEntries(names.map((name) => [name, []]));
  for (let run = 0; run < runs; run++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(run + turn) % names.length];
      values[name].push(await sides[name]());
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(values[name])]));
}

/**
 * Median milliseconds of each of several short pieces of work, `repeats` at a time, each round after one
 * that is not counted.
 *
 * @template {string} Side
 * @param {{ rounds: number, repeats: number }} counts
 * @param {Record<Side, () => unknown>} works
 * @returns {Record<Side, number>}
 */
export function sideBySide({ rounds, repeats }, works) {
  const times = Object.fromEntries(Object.keys(works).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, work] of Object.entries(works)) {
      work();
      const start = performance.now();
      for (let k = 0; k < repeats; k++) work();
      times[name].push((performance.now() - start) / repeats);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, median(ms)]));
}
