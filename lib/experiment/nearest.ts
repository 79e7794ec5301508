// The command line's help loads this: nothing that knows a tensor is imported.
import { requireIterable, requireText } from '../torch/require.js';

/** Number of insertions, deletions, substitutions and neighbour swaps between two words. */
export function editDistance(a: string, b: string): number {
  for (const word of [a, b]) requireText(word, 'editDistance', 'a word');

  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, before[j - 2]! + 1);
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length]!;
}

/** The end of a message, where something is near enough to be meant. */
export function meant(near: string | null): string {
  return near === null ? '' : ` Did you mean '${near}'?`;
}

/**
 * The candidate nearest to a mistyped word, or null where none is near enough to be meant: at
 * most one edit for each three letters, and at least two.
 */
export function nearest(word: string, candidates: readonly string[]): string | null {
  requireText(word, 'nearest', 'a word');
  requireIterable(candidates, 'nearest');

  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    requireText(candidate, 'nearest', 'words as candidates');
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}
