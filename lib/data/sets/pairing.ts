/** Which files of several folders belong together: by their names, without what the sensors add. */

/** A file below a folder of modalities, and what its path says. */
export interface FoundFile {
  /** Relative to the folder of everything, with forward slashes. */
  readonly path: string;
  /** Its folder among the modalities. */
  readonly part: string;
  /** By a folder in its path: train, val or test; null where there is none. */
  readonly split: string | null;
  /** What else its path says, without the ending. */
  readonly stem: string;
}

/** The files of one scene, by folder. */
export interface Group {
  readonly key: string;
  readonly split: string | null;
  readonly files: ReadonlyMap<string, string>;
}

const SPLIT_FOLDERS: Record<string, string> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  test: 'test',
  testing: 'test',
};

const IMAGE = /\.(png|jpe?g|webp|tiff?|npy)$/i;

/** Words that tell sensors apart in names: `0001_rgb.png`, `0001_depth.png`. */
const SENSOR =
  /^(rgb|colou?r|images?|img|left|leftimg8bit|depth|disp(arity)?|hha|thermal|ther|ir|nir|infrared|lidar|event|normals?|labels?|labelids|masks?|gt|gtfine|semantic|seg|segmentation|annotations?)$/i;

/** What a path says; null for what is no image, or lies in no folder. */
export function describeFile(path: string, parts: readonly string[] | null): FoundFile | null {
  if (!IMAGE.test(path)) return null;
  const folders = path.split('/');
  const name = folders.pop()!;
  const at = folders.findIndex((folder) => Object.hasOwn(SPLIT_FOLDERS, folder.toLowerCase()));
  const split = at < 0 ? null : SPLIT_FOLDERS[folders[at]!.toLowerCase()]!;
  const rest = folders.filter((_, index) => index !== at);
  const part =
    parts === null
      ? rest[0]
      : parts.find((each) => each === rest.slice(0, each.split('/').length).join('/'));
  if (part === undefined) return null;
  const below = rest.slice(part.split('/').length);
  return { path, part, split, stem: [...below, name.replace(IMAGE, '')].join('/') };
}

/**
 * Groups files that belong together: those of one name, or, where that brings more together, of one
 * name without the words of sensors.
 */
export function pair(files: readonly FoundFile[], parts: readonly string[]): Group[] {
  const plain = grouped(files, ({ stem }) => stem)!;
  const bare = grouped(files, bareStem);
  const whole = (groups: readonly Group[]) =>
    groups.filter((group) => parts.every((part) => group.files.has(part))).length;
  return bare !== null && whole(bare) > whole(plain) ? bare : plain;
}

function bareStem({ stem, part }: FoundFile): string {
  const slash = stem.lastIndexOf('/') + 1;
  const words = stem.slice(slash).split(/[_\-. ]+/);
  const own = part.split('/').at(-1)!.toLowerCase();
  const kept = words.filter((word) => !SENSOR.test(word) && word.toLowerCase() !== own);
  return kept.length === 0 ? stem : stem.slice(0, slash) + kept.join('_');
}

/** Null where two files of a folder would have one key. */
function grouped(files: readonly FoundFile[], keyOf: (file: FoundFile) => string): Group[] | null {
  const groups = new Map<
    string,
    { key: string; split: string | null; files: Map<string, string> }
  >();
  for (const file of files) {
    const key = keyOf(file);
    const id = `${file.split ?? ''}\0${key}`;
    const group = groups.get(id) ?? { key, split: file.split, files: new Map() };
    groups.set(id, group);
    if (group.files.has(file.part) && keyOf(file) !== file.stem) return null;
    // Of a name with two endings the first stands.
    if (!group.files.has(file.part)) group.files.set(file.part, file.path);
  }
  return [...groups.values()].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}
