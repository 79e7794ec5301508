// Files of tensors: PyTorch's of both kinds, NumPy's arrays and archives. Of an archive, the entries are
// mutated too and packed soundly, so that what lies behind the checksums is reached.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FileSource } from '../../dist/torch/files/source.js';
import { readDirectory, readEntry } from '../../dist/torch/files/zip.js';
import { zipChunks } from '../../dist/torch/files/zip-writer.js';
import * as torch from '../../dist/torch/index.js';
import { mutate } from './mutate.mjs';
import { attempts } from './readers.mjs';

const fixtures = new URL('../../test/fixtures/torch-files/', import.meta.url);
const seeds = (names) => async () =>
  names.map((name) => readFileSync(fileURLToPath(new URL(name, fixtures))));

/** Values beyond these are not looked at: a tensor may repeat an element without end. */
const MOST_ELEMENTS = 1 << 20;

/** What a user does with what was read: values that lie elsewhere than in their memory would crash. */
function use(value, seen = new Set()) {
  if (value instanceof torch.Tensor) {
    if (value.numel() > MOST_ELEMENTS) return;
    String(value);
    const dense = value.sparseDim() > 0 ? value.toDense() : value;
    if (dense.device === 'cpu') dense.toTypedArray();
  }
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  if (value instanceof Map || value instanceof Set || Array.isArray(value)) {
    for (const item of value.values()) use(item, seen);
  } else if (!ArrayBuffer.isView(value)) {
    for (const item of Object.values(value)) use(item, seen);
  }
}

const read = (path) =>
  attempts(
    () => torch.scope(() => use(torch.load(path))),
    () => torch.scope(() => use(torch.load(path, { checksums: false, mmap: true }))),
    () => torch.scope(async () => use(await torch.loadAsync(path, { checksums: false }))),
  );

/** The entries of a sound archive. */
function entriesOf(bytes) {
  const run = (reader) => {
    let step = reader.next();
    while (!step.done) {
      const { at, into, packed } = step.value;
      if (packed) return null;
      into.set(bytes.subarray(at, at + into.length));
      step = reader.next(into);
    }
    return step.value;
  };
  const file = new FileSource('seed', bytes.length, 1 << 20);
  const directory = run(readDirectory(file));
  return [...directory.values()].flatMap((entry) => {
    const content = run(readEntry(file, entry));
    return content === null ? [] : [{ name: entry.name, content: Buffer.from(content) }];
  });
}

function repack(bytes, random) {
  const entries = entriesOf(bytes);
  const chosen = random.next() < 0.7 ? entries[0] : random.pick(entries);
  if (random.next() < 0.1) entries.splice(random.below(entries.length), 1);
  else if (chosen) chosen.content = mutate([chosen.content], random, random.next() < 0.3);
  const written = entries.map(({ name, content }) => ({
    name,
    size: content.length,
    chunks: () => [content],
  }));
  return Buffer.concat([...zipChunks(written, { compress: random.next() < 0.2 })]);
}

const archive = (valid, random, path) => {
  const seed = random.pick(valid);
  const repacked = random.next() < 0.7 ? repack(seed, random) : null;
  writeFileSync(path, repacked ?? mutate([seed], random, false));
};

const plain = (valid, random, path) =>
  writeFileSync(path, mutate(valid, random, random.next() < 0.3));

/** An array's header, in as many bytes as it had. */
const header = (valid, random, path) => {
  if (random.next() < 0.3) return plain(valid, random, path);
  const seed = random.pick(valid);
  const start = seed[6] === 1 ? 10 : 12;
  const end = start + seed.readUInt16LE(8);
  const text = Buffer.alloc(end - start, ' ');
  mutate([Buffer.from(seed.toString('latin1', start, end).trimEnd())], random, true).copy(text);
  writeFileSync(path, Buffer.concat([seed.subarray(0, start), text, seed.subarray(end)]));
};

export default [
  {
    name: 'pth',
    extension: 'pth',
    seeds: seeds(['zip.pth', 'zip-protocol4.pth', 'sparse.pth', 'dtypes.pth', 'big-endian.pth']),
    make: archive,
    read,
  },
  {
    name: 'legacy',
    extension: 'pth',
    seeds: seeds(['legacy.pth', 'legacy-protocol5.pth', 'legacy-dtypes.pth']),
    make: plain,
    read,
  },
  {
    name: 'npz',
    extension: 'npz',
    seeds: seeds(['stored.npz']),
    make: archive,
    read,
  },
  {
    name: 'npz-packed',
    extension: 'npz',
    seeds: seeds(['packed.npz']),
    make: plain,
    read,
  },
  {
    name: 'npy-tensor',
    extension: 'npy',
    seeds: seeds(['fortran.npy', 'version3.npy', 'scalar.npy', 'big-endian.npy', 'complex64.npy']),
    make: header,
    read,
  },
];
