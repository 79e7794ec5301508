import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { pair } from '../data/sets/pairing.js';
import { EvaluationError } from '../evaluation/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { statIfThere } from '../torch/stat.js';

/** What is known of a scene: an image of each modality that is there, and where its classes go. */
export interface Scene {
  images: Record<string, string>;
  /** An 8-bit grey image of the images' size, see CLASS_FORMATS. */
  out: string;
  /** The classes in colour over the first image, see OVERLAY_FORMATS. */
  overlay?: string | undefined;
  /** Probabilities: `.npy`, [K, H, W] float32 of all classes; `.png`, 16 bits, of the class that is said. */
  probabilities?: string | undefined;
}

const IMAGE = /\.(png|jpe?g|webp|tiff?|npy)$/i;

/** Whether an image's path stands for several: a folder, or a name with `*` or `?`. */
export function isSeveral(path: string): boolean {
  checkArguments('isSeveral', { path }, { path: is.text });
  return /[*?]/.test(basename(path)) || (statIfThere(path)?.isDirectory() ?? false);
}

/**
 * The scenes of folders, or of names with `*` and `?`: files of one name belong together, or of one name
 * without the words of sensors (`0001_rgb.png`, `0001_depth.png`). A scene has whichever modalities there
 * is a file of.
 *
 * @param sources a folder or pattern of each modality
 * @param place what each scene's files are named, without an ending, gives its other files
 * @throws EvaluationError M3L_NO_SCENES where nothing is found
 */
export function scenesOf(
  sources: Readonly<Record<string, string>>,
  place: (stem: string) => Omit<Scene, 'images'>,
): Scene[] {
  checkArguments(
    'scenesOf',
    { sources, place },
    { sources: is.recordOf(is.text), place: is.callback },
  );

  const names = Object.keys(sources);
  const files = names.flatMap((part) =>
    filesOf(sources[part]!).map(({ path, stem }) => ({ path, part, split: null, stem })),
  );
  if (files.length === 0) {
    throw new EvaluationError(
      'M3L_NO_SCENES',
      `found no image in ${Object.values(sources).join(', ')}; expected PNG, JPEG, WebP, TIFF or .npy files.`,
    );
  }
  return pair(files, names)
    .map(({ key, files: found }) => ({ images: Object.fromEntries(found), ...place(key) }))
    .sort((a, b) => (a.out < b.out ? -1 : 1));
}

function filesOf(source: string): { path: string; stem: string }[] {
  const pattern = /[*?]/.test(basename(source)) ? matcher(basename(source)) : null;
  const folder = pattern === null ? source : dirname(source);
  if (!existsSync(folder)) {
    throw new EvaluationError(
      'M3L_NO_SCENES',
      `${folder} does not exist; expected a folder of images.`,
    );
  }
  return readdirSync(folder, { recursive: pattern === null, encoding: 'utf8' })
    .filter((name) => IMAGE.test(name) && (pattern === null || pattern.test(name)))
    .sort()
    .map((name) => ({
      path: join(folder, name),
      stem: name.slice(0, name.length - extname(name).length).replaceAll('\\', '/'),
    }));
}

/** `*` is any letters, `?` is one. */
function matcher(pattern: string): RegExp {
  const text = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${text.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}
