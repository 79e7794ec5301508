/** What the files of a scene hold, found without training on them. Runs in worker threads. */

import { open, stat } from 'node:fs/promises';
import { checkArguments } from '../torch/check-arguments.js';
import { type PortableError, toPortable } from '../torch/portable-error.js';
import { readChannels, readHeader } from './image.js';
import type { ImageSource } from './image-source.js';
import { readChannel } from './kinds/channel.js';
import type { LabelRule } from './label-rule.js';
import { describeLabels, type LabelValue, readRawLabels } from './labels.js';
import { spreadOfLevels } from './levels.js';
import type { Sample } from './list.js';
import { kindOf, type ModalitySpec, readPlane } from './modality.js';
import type { PictureHeader } from './picture.js';
import { measuredExtremes } from './plane.js';
import { scanOptionsShape, scanTaskShape } from './rules.js';
import { checkLabelSize, checkSceneSizes, type SceneOptions } from './scene.js';
import { momentsOf } from './statistics.js';

/** What a scan reads, and by which rule. */
export interface ScanOptions extends SceneOptions {
  readonly modalities: readonly ModalitySpec[];
  readonly rule: LabelRule;
}

/** A scene to scan. */
export interface ScanTask {
  readonly sample: Sample;
  /** Decodes every modality too, for the range of its values. */
  readonly decode: boolean;
}

/** What was found of a file. */
export interface FileFacts extends Omit<PictureHeader, 'orientation'> {
  readonly file: string;
  /** EXIF orientation, 2 to 8; absent where there is none. */
  readonly orientation?: number;
  readonly bytes: number;
}

/** A label picture, with each stored value (colours as 0xrrggbb) and how many pixels hold it. */
export interface LabelFacts extends Pick<FileFacts, 'file' | 'width' | 'height' | 'orientation'> {
  readonly colours: boolean;
  readonly values: readonly LabelValue[];
}

/** What was found of a scene. */
export interface SceneFacts {
  /** One a modality; null where the file cannot be used. */
  readonly files: readonly (FileFacts | null)[];
  /** Null where the scene has no label, or one that cannot be used. */
  readonly label: LabelFacts | null;
  /** Least and greatest raw value that each modality measured; null where it was not decoded. */
  readonly ranges: readonly (readonly [number, number] | null)[];
  /** How much of [0, 1] a model sees of each, see `spreadOfLevels`; null where it was not decoded. */
  readonly spreads: readonly (number | null)[];
  /** The mean of what each reads as, in [0, 1]; null where it was not decoded or nothing was measured. */
  readonly levels: readonly (number | null)[];
  /** What is wrong with the scene's files, in the order of the files. */
  readonly problems: readonly PortableError[];
}

/**
 * Looks at one scene: the headers of its images and all values of its label. A file that cannot be used
 * is a problem in the result, not thrown.
 */
export async function scanScene(task: ScanTask, scan: ScanOptions): Promise<SceneFacts> {
  checkArguments('scanScene', { task, scan }, { task: scanTaskShape, scan: scanOptionsShape });
  const { sample, decode } = task;
  const { modalities, rule, ...options } = scan;

  const problems: PortableError[] = [];
  const attempt = async <Facts>(read: () => Facts | Promise<Facts>): Promise<Facts | null> => {
    try {
      return await read();
    } catch (error) {
      problems.push(toPortable(error));
      return null;
    }
  };
  const files: (FileFacts | null)[] = [];
  const ranges: ([number, number] | null)[] = [];
  const spreads: (number | null)[] = [];
  const levels: (number | null)[] = [];
  for (const [m, spec] of modalities.entries()) {
    const facts = await attempt(() => fileFacts(sample.files[m]!));
    const values = facts && (await attempt(() => valuesOf(spec, facts, decode)));
    files.push(facts);
    ranges.push(values?.measured ?? null);
    spreads.push(values?.spread ?? null);
    levels.push(values?.level ?? null);
  }
  const reference = files.some((facts) => facts !== null)
    ? await attempt(() => checkSceneSizes(files, modalities, options))
    : null;
  const label = sample.label === null ? null : await attempt(() => labelFacts(sample.label!, rule));
  if (label && reference) {
    await attempt(() => checkLabelSize(label.file, label, { reference }, options));
  }
  return { files, label, ranges, spreads, levels, problems };
}

async function fileFacts(file: string): Promise<FileFacts> {
  const { orientation, ...header } = await readHeader(file);
  const { size: bytes } = await stat(file);
  return { ...header, ...(orientation === 1 ? {} : { orientation }), file, bytes };
}

async function labelFacts(file: string, rule: LabelRule): Promise<LabelFacts> {
  const raw = await readRawLabels(file, rule);
  const { width, height, orientation, colours } = raw;
  const upright = orientation === undefined ? {} : { orientation };
  return { file, width, height, ...upright, colours, values: describeLabels(raw) };
}

/**
 * Reads a modality as training does where asked to, or where the header leaves a doubt: a file that may
 * be cut short, or has more channels than the kind takes. Gives the raw extremes of what was asked for, and how it reads.
 */
async function valuesOf(
  spec: ModalitySpec,
  facts: FileFacts,
  decode: boolean,
): Promise<{ measured: [number, number]; spread: number | null; level: number | null } | null> {
  const colours = facts.colour === 'palette' || facts.channels > 2;
  const doubtful = (kindOf(spec).channels === 1 && colours) || !(await endsWhole(facts));
  if (!decode && !doubtful && spec.channel === undefined) return null;
  let picture: ReturnType<typeof readChannels> | null = null;
  const channels = (file: ImageSource) => {
    picture ??= readChannels(file);
    return picture;
  };
  const plane = await readPlane(spec, facts.file, channels);
  if (!decode) return null;
  const { channel, invalid = [], name } = spec;
  const { data } =
    channel === undefined
      ? await channels(facts.file)
      : await readChannel(
          { file: facts.file, name, channel, range: null, holes: [], channels },
          channel,
        );
  const holes = (typeof invalid === 'number' ? [invalid] : invalid).filter(Number.isFinite);
  const [least, greatest] = measuredExtremes(data, holes);
  const mean = momentsOf(plane)?.mean;
  const level = mean === undefined ? null : mean.reduce((sum, each) => sum + each, 0) / mean.length;
  return { measured: [least, greatest], spread: spreadOfLevels(plane), level };
}

/** The last bytes of a whole file, of formats whose end can be told. */
const ENDS: Record<string, string> = { PNG: 'IEND\xae\x42\x60\x82', JPEG: '\xff\xd9' };

/** Whether a file has the end that its format has, where that can be told: it was not cut short. */
export async function endsWhole({
  file,
  format,
  bytes,
}: Pick<FileFacts, 'file' | 'format' | 'bytes'>): Promise<boolean> {
  const end = ENDS[format];
  if (end === undefined) return true;
  const handle = await open(file);
  try {
    const tail = Buffer.alloc(end.length);
    await handle.read(tail, 0, tail.length, Math.max(0, bytes - tail.length));
    return tail.toString('latin1') === end;
  } finally {
    await handle.close();
  }
}
