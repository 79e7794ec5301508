import type { Colour } from '../../data/index.js';
import { Picture } from '../../evaluation/index.js';
import type { BenchmarkReport, BenchmarkRow } from './run-suite.js';

const [LETTER, ROW, BAR, GAP] = [6, 12, 10, 8];
const SCALE = 400;
const COLOURS: Record<'all' | 'robust' | 'published', Colour> = {
  all: [31, 119, 180],
  robust: [255, 127, 14],
  published: [120, 120, 120],
};

/** A bar for each value of each experiment, with a mark where the published one is: PNG. */
export function drawBenchmark({ suite, seeds, rows }: BenchmarkReport): Promise<Buffer> {
  const left = Math.max(120, ...rows.map(({ title }) => (ascii(title).length + 2) * LETTER));
  const width = left + SCALE + 140;
  const height = 4 * ROW + rows.length * (2 * BAR + GAP) + ROW;
  const picture = new Picture(width, height);
  picture.write(ascii(`${suite}, seeds ${seeds.join(', ')}`), GAP, GAP);
  const legend = [
    ['all', 'mIoU, all modalities'],
    ['robust', 'robust mIoU'],
    ['published', 'published'],
  ] as const;
  let x = left;
  for (const [key, text] of legend) {
    picture.fill(x, 2 * ROW, BAR, BAR, COLOURS[key]);
    picture.write(text, x + BAR + 4, 2 * ROW);
    x += BAR + (text.length + 3) * LETTER;
  }
  for (const [i, row] of rows.entries()) {
    const top = 4 * ROW + i * (2 * BAR + GAP);
    picture.write(ascii(row.title), GAP, top + BAR / 2);
    bar(picture, row, 'all', { left, top });
    bar(picture, row, 'robust', { left, top: top + BAR });
  }
  return picture.png();
}

function bar(
  picture: Picture,
  row: BenchmarkRow,
  key: 'all' | 'robust',
  { left, top }: { left: number; top: number },
): void {
  const value = row[key];
  const published = row.published[key];
  const at = (share: number) => left + Math.round(share * SCALE);
  if (value === null) picture.write('not finished', left + 4, top);
  else {
    picture.fill(left, top, at(value.mean) - left, BAR - 1, COLOURS[key]);
    // The spread over the seeds.
    const [low, high] = [value.mean - value.deviation, value.mean + value.deviation].map(at);
    picture.fill(low!, top + BAR / 2 - 1, high! - low!, 1, [0, 0, 0]);
    picture.write((100 * value.mean).toFixed(1), at(value.mean) + 6, top + 1);
  }
  if (published !== undefined)
    picture.fill(at(published / 100) - 1, top, 2, BAR - 1, COLOURS.published);
}

/** The font has no other letters. */
const ascii = (text: string) => text.replace(/[^ -~]/g, '-');
