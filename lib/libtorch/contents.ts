import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { versionIn, versionOf } from '../torch/libtorch-version.js';
import { statIfThere } from '../torch/stat.js';
import { Archive, type Entry } from './archive.js';
import { LibtorchInstallError } from './errors.js';
import { isKept, type Keep } from './kept.js';

/** Files to be put under an install's folder, from wheels or from a folder. */
export interface Contents {
  /** As the source says it, or null. */
  version: string | null;
  cuda: boolean;
  bytes: number;
  /** Writes all of it under a folder. */
  write(
    to: string,
    options: { signal?: AbortSignal | undefined; onBytes(bytes: number): void },
  ): Promise<void>;
  close(): void;
}

/**
 * What is kept of a wheel or of a zip of libtorch.
 * @throws LibtorchInstallError M3L_LIBTORCH_ARCHIVE, M3L_LIBTORCH_CONTENT (no libraries in it)
 */
export async function contentsOfArchive(path: string, keep: Keep): Promise<Contents> {
  const archive = await Archive.open(path);
  try {
    const root = rootOf(archive.entries);
    const kept = archive.entries
      .map((entry) => ({ entry, path: placeOf(entry.path, root) }))
      .filter((file) => isKept(file.path, keep));
    if (!kept.some((file) => /\.so(\.|$)/.test(file.path))) {
      throw new LibtorchInstallError(
        'M3L_LIBTORCH_CONTENT',
        `${path} holds neither lib/libtorch.so nor a library of NVIDIA's (${archive.entries.length} files, such as ${archive.entries[0]?.path ?? 'none'}). Name a wheel of torch.`,
      );
    }
    return {
      version: await versionOfArchive(archive, kept),
      cuda: kept.some((file) => file.path === 'torch/lib/libtorch_cuda.so'),
      bytes: kept.reduce((sum, { entry }) => sum + entry.size, 0),
      async write(to, options) {
        for (const { entry, path: place } of kept) {
          options.signal?.throwIfAborted();
          await archive.extract(entry, join(to, place), options);
        }
      },
      close: () => archive.close(),
    };
  } catch (error) {
    archive.close();
    throw error;
  }
}

async function versionOfArchive(archive: Archive, kept: { entry: Entry; path: string }[]) {
  for (const file of ['version.py', 'build-version']) {
    const found = kept.find(({ path }) => path === `torch/${file}`);
    if (found !== undefined) return versionIn(file, await archive.text(found.entry));
  }
  return null;
}

/** The folder within an archive that holds lib/libtorch.so: `torch/` of a wheel, `libtorch/` of a zip. */
function rootOf(entries: readonly Entry[]): string | null {
  const ends = entries
    .map(({ path }) => path)
    .filter((path) => path === 'lib/libtorch.so' || path.endsWith('/lib/libtorch.so'))
    .sort((a, b) => a.length - b.length);
  return ends[0] === undefined ? null : ends[0].slice(0, -'lib/libtorch.so'.length);
}

/** Where a file of an archive belongs: what is beside `torch/` stays beside it. */
function placeOf(path: string, root: string | null): string {
  return root !== null && path.startsWith(root) ? `torch/${path.slice(root.length)}` : path;
}

/**
 * What is kept of an unpacked libtorch (it has lib/), with NVIDIA's libraries and the licences that lie
 * beside it where it is a torch of Python.
 */
export function contentsOfFolder(root: string, keep: Keep): Contents {
  const around = dirname(root);
  const files: { from: string; path: string; bytes: number }[] = [];
  const add = (from: string, path: string) => {
    const stat = statIfThere(from);
    if (stat?.isFile() && isKept(path, keep)) files.push({ from, path, bytes: stat.size });
  };
  const addAll = (folder: string, as: string, recursive: boolean) => {
    if (!existsSync(folder)) return;
    for (const entry of readdirSync(folder, { withFileTypes: true, recursive })) {
      const from = join(entry.parentPath ?? entry.path, entry.name);
      if (!entry.isDirectory()) add(from, `${as}/${relative(folder, from)}`);
    }
  };
  addAll(root, 'torch', keep === 'whole');
  if (keep !== 'whole') addAll(join(root, 'lib'), 'torch/lib', false);
  if (keep === 'headers') {
    addAll(join(root, 'include'), 'torch/include', true);
    addAll(join(root, 'share/cmake'), 'torch/share/cmake', true);
  }
  if (basename(root) === 'torch') {
    const beside = readdirSync(around).filter((name) =>
      /^(torch|nvidia_.*)-[^/]*\.dist-info$/.test(name),
    );
    for (const name of beside) addAll(join(around, name), name, true);
    addAll(join(around, 'nvidia'), 'nvidia', true);
  }
  return {
    version: versionOf(root),
    cuda: files.some(({ path }) => path === 'torch/lib/libtorch_cuda.so'),
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    async write(to, { signal, onBytes }) {
      for (const { from, path, bytes } of files) {
        signal?.throwIfAborted();
        mkdirSync(dirname(join(to, path)), { recursive: true });
        copyFileSync(from, join(to, path));
        onBytes(bytes);
        // A copy gives the process no time to hear a signal.
        await new Promise(setImmediate);
      }
    },
    close() {},
  };
}
