/** One reader of scenes: training, evaluation and prediction see the same pixels. */

import { DataError } from './errors.js';
import type { NearestRule } from './geometry.js';
import { readChannels } from './image.js';
import { type ImageSource, nameOf } from './image-source.js';
import { type ModalitySpec, readPlane } from './modality.js';
import type { Picture } from './picture.js';
import { type Plane, resizePlane } from './plane.js';

/** How the images of a scene are brought to one size. */
export interface SceneOptions {
  /** [height, width] that every image is resized to. */
  readonly resize?: readonly [number, number] | null;
  /** The modality whose size the others take, where `resize` is not given. */
  readonly align?: string | null;
  /** Of depth and labels. Default `half-pixel`. */
  readonly nearest?: NearestRule;
}

export interface Scene {
  /** One a modality, all of one size; null where no file was given. */
  readonly planes: readonly (Plane | null)[];
  readonly width: number;
  readonly height: number;
  /** The image whose size a label must have, as it is stored. */
  readonly reference: SizedFile;
}

export interface SizedFile extends Pick<Picture, 'width' | 'height' | 'orientation'> {
  readonly file: string;
}

/**
 * Reads the images of a scene, of which some may be missing (null), and brings them to one size.
 * @throws DataError as `readPlane`; M3L_SIZE_MISMATCH; M3L_DATA_OPTIONS where no file is given
 */
export async function readScene(
  specs: readonly ModalitySpec[],
  files: readonly (ImageSource | null)[],
  { resize = null, align = null, nearest }: SceneOptions,
): Promise<Scene> {
  const channels = onceEach(readChannels);
  const read = await Promise.all(
    specs.map((spec, m) => {
      const file = files[m];
      return file ? readPlane(spec, file, channels) : null;
    }),
  );
  const sized = read.map((plane, m) => plane && sizeOf(nameOf(files[m]!), plane));
  const reference = checkSceneSizes(sized, specs, { resize, align });
  const [height, width] = resize ?? [reference.height, reference.width];
  return {
    planes: read.map((plane) => plane && resizePlane(plane, height, width, nearest)),
    width,
    height,
    reference,
  };
}

/**
 * Checks that the images of a scene, null where there is none, lie over one another.
 * @returns the one whose size a label must have
 * @throws DataError M3L_SIZE_MISMATCH; M3L_DATA_OPTIONS where there is no image
 */
export function checkSceneSizes(
  sized: readonly (SizedFile | null)[],
  specs: readonly ModalitySpec[],
  { resize = null, align = null }: SceneOptions,
): SizedFile {
  const first = sized.find((one) => one !== null);
  const reference = sized[specs.findIndex(({ name }) => name === align)] ?? first;
  if (!reference) {
    throw new DataError(
      'M3L_DATA_OPTIONS',
      `found no image, expected at least one of ${specs.map((spec) => spec.name).join(', ')}.`,
    );
  }
  const brought = resize !== null || align !== null;
  for (const one of sized) if (one) checkSize(one, reference, brought, 'lies');
  return reference;
}

/**
 * Checks that a label lies over the images of its scene: it has their size or, where they were brought
 * to one, their shape.
 * @throws DataError M3L_SIZE_MISMATCH
 */
export function checkLabelSize(
  file: string,
  label: Pick<Picture, 'width' | 'height' | 'orientation'>,
  { reference }: Pick<Scene, 'reference'>,
  { resize = null, align = null }: SceneOptions,
): void {
  checkSize(sizeOf(file, label), reference, resize !== null || align !== null, 'fits');
}

function sizeOf(file: string, size: Omit<SizedFile, 'file'>): SizedFile {
  const { width, height, orientation } = size;
  return { file, width, height, ...(orientation === undefined ? {} : { orientation }) };
}

/**
 * @param brought whether sizes are made one, so that they may differ: images whose user says so `lie`
 *   over one another unless one is upright and one lies on its side; labels must have the same shape
 */
function checkSize(
  one: SizedFile,
  reference: SizedFile,
  brought: boolean,
  how: 'lies' | 'fits',
): void {
  if (one.width === reference.width && one.height === reference.height) return;
  const fit = how === 'lies' ? !isTurned(one, reference) : hasShape(one, reference);
  if (brought && fit) return;
  const mend = brought
    ? 'These shapes cannot lie over one another, whatever the size: turn or crop one of the files.'
    : 'All images of a scene must be aligned. If these are, and differ in resolution alone, resize ' +
      'them all (data.resize: [height, width]) or to the size of one modality (data.align: NAME).';
  throw new DataError(
    'M3L_SIZE_MISMATCH',
    `${one.file}: found ${sideText(one, ' pixels')}, expected ${sideText(reference)} as ` +
      `${reference.file} has. ${mend}`,
  );
}

/** Whether one is higher than wide and the other wider than high. */
function isTurned(a: SizedFile, b: SizedFile): boolean {
  return (a.width - a.height) * (b.width - b.height) < 0;
}

/** The same aspect, up to one pixel or two percent. */
function hasShape(a: SizedFile, b: SizedFile): boolean {
  const expected = (a.width * b.height) / b.width;
  return Math.abs(expected - a.height) <= Math.max(1, 0.02 * expected);
}

function sideText({ width, height, orientation }: SizedFile, unit = ''): string {
  const turned =
    orientation === undefined ? '' : ` (turned by its EXIF orientation ${orientation})`;
  return `${width} × ${height}${unit}${turned}`;
}

function onceEach<Value>(read: (file: ImageSource) => Promise<Value>): typeof read {
  const known = new Map<ImageSource, Promise<Value>>();
  return (file) => {
    const made = known.get(file) ?? read(file);
    known.set(file, made);
    return made;
  };
}
