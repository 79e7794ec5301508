import { readHeader, type Sample } from '../data/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import type { Config, SettledConfig } from './config/config.js';
import { type Choice, type DataFacts, followData, isSettled } from './config/follow-data.js';
import { openSources, type Sources, spread } from './datasets.js';
import { configShape } from './rules.js';

/** Images whose sizes are looked at. */
const SIZED = 64;

/** A configuration with nothing left open, and what was chosen for it. */
export interface Settled {
  config: SettledConfig;
  chosen: Choice[];
}

/**
 * Chooses what a configuration leaves open by its lists and the sizes of its images; see `followData`.
 * Nothing is looked at where nothing is open.
 *
 * @param note is told what takes long
 * @throws DataError of a list, as `openDatasets`. Images that cannot be read are passed over
 */
export async function settle(
  config: Config,
  note: (text: string) => void = () => {},
): Promise<Settled> {
  checkArguments('settle', { config, note }, { config: configShape, note: is.callback });

  if (isSettled(config)) return { config, chosen: [] };
  const sources = await openSources(config, note, { allLists: true });
  return followData(config, await factsOf(config, sources));
}

async function factsOf(config: Config, { labelled, unlabelled }: Sources): Promise<DataFacts> {
  const all = [...labelled, ...(unlabelled ?? [])];
  return {
    labelled: labelled.length,
    unlabelled: unlabelled?.length ?? 0,
    images: new Set(all.map(({ files }) => files[0])).size,
    size: await sizeOf(config, labelled),
  };
}

async function sizeOf({ data }: Config, samples: readonly Sample[]) {
  if (data.resize !== undefined) return data.resize;
  const names = Object.keys(data.modalities);
  const reference = data.align === undefined ? 0 : names.indexOf(data.align);
  const found: { height: number; width: number }[] = [];
  for (const { files } of spread(samples, SIZED)) {
    // What cannot be read is the check's to tell.
    const header = await readHeader(files[reference]!).catch(() => null);
    if (header !== null) found.push(header);
  }
  const middle = (sides: number[]) => sides.sort((a, b) => a - b)[Math.floor(sides.length / 2)];
  const [height, width] = [
    middle(found.map((header) => header.height)),
    middle(found.map((header) => header.width)),
  ];
  return [height ?? 1, width ?? 1] as const;
}
