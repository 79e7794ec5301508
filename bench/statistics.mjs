export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Measures both sides in turn, swapping who goes first, so that a machine that slows down or speeds
 * up meanwhile does so for both.
 *
 * @param {number} runs
 * @param {{ ours: () => number | Promise<number>, peer: () => number | Promise<number> }} sides
 * @returns {Promise<{ ours: number, peer: number }>} medians
 */
export async function alternate(runs, sides) {
  const values = { ours: [], peer: [] };
  for (let run = 0; run < runs; run++) {
    for (const side of run % 2 ? ['peer', 'ours'] : ['ours', 'peer']) {
      values[side].push(await sides[side]());
    }
  }
  return { ours: median(values.ours), peer: median(values.peer) };
}
