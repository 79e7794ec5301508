/** What files hold, as far as it can be told by looking at some. */

import { IGNORE_LABEL } from '../classes.js';
import { readGrey, readHeader } from '../image.js';
import type { KindName } from '../kinds/registry.js';
import { rawText } from '../label-rule.js';
import { describeLabels, readRawLabels } from '../labels.js';

/** What labels seem to mean. */
export interface LabelGuess {
  readonly classes: number;
  /** 1 where they count from 1. */
  readonly offset: number;
  /** `labels.map` as a configuration has it; null where numbers are classes as they stand. */
  readonly map: string | null;
}

/** Labels that are looked at. */
const LOOKED_AT = 200;
/** Numbers up to here are taken for classes though some between them do not occur. */
const FEW = 64;

/** The kind of a modality by one of its files: colour, measured values, or brightness. */
export async function kindOfFile(file: string, depth: boolean): Promise<KindName> {
  const { channels, colour, depth: stored } = await readHeader(file);
  if (depth) return (await isGrey(file)) ? 'depth' : 'rgb';
  if (channels >= 3 || colour === 'palette') return 'rgb';
  return stored === 'uint8' ? 'grey' : 'depth';
}

async function isGrey(file: string): Promise<boolean> {
  try {
    await readGrey(file);
    return true;
  } catch {
    return false;
  }
}

/**
 * What the values of some labels seem to mean; null where there are none.
 * @throws DataError of a label that cannot be read
 */
export async function labelsOfFiles(files: readonly string[]): Promise<LabelGuess | null> {
  if (files.length === 0) return null;
  const values = new Set<number>();
  let colours = false;
  const step = Math.max(1, files.length / LOOKED_AT);
  for (let at = 0; at < files.length; at += step) {
    const raw = await readRawLabels(files[Math.floor(at)]!, { colours: false });
    colours ||= raw.colours;
    for (const { raw: value } of describeLabels(raw)) values.add(value);
  }
  const all = [...values].sort((a, b) => a - b);
  const mapped = (listed: readonly number[]): LabelGuess => {
    const entries = listed.map((raw, index) => {
      const text = rawText(raw, colours);
      return `${colours ? `'${text}'` : text}: ${index}`;
    });
    return { classes: Math.max(2, listed.length), offset: 0, map: `{ ${entries.join(', ')} }` };
  };
  if (colours) return mapped(all.slice(0, IGNORE_LABEL));
  const numbers = all.filter((value) => value !== IGNORE_LABEL);
  // Masks of 0 and 255: the second is a class.
  if (numbers.length <= 1 && all.length === 2) return mapped(all);
  const [least = 0, greatest = 0] = [numbers[0], numbers.at(-1)];
  if (greatest > FEW && greatest + 1 > 2 * numbers.length) return mapped(numbers);
  const offset = least === 1 ? 1 : 0;
  return { classes: Math.max(2, greatest + 1 - offset), offset, map: null };
}
