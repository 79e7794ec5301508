import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 as expectedCrc } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Archive } from '../../dist/libtorch/archive.js';
import { tableCrc32 as crc32 } from '../../dist/torch/crc32.js';
import { type FakeEntry, torchFiles, wheel, zip } from './fake-wheel.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-archive-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
function file(bytes: Buffer): string {
  const path = join(folder, `${count++}.whl`);
  writeFileSync(path, bytes);
  return path;
}

/** Opens an archive and unpacks all of it. */
async function unpack(bytes: Buffer): Promise<string> {
  const to = join(folder, `unpacked-${count}`);
  const archive = await Archive.open(file(bytes));
  try {
    for (const entry of archive.entries) await archive.extract(entry, join(to, entry.path));
  } finally {
    archive.close();
  }
  return to;
}

const odd = (entry: FakeEntry) => zip([...torchFiles(), entry]);

describe('a wheel', () => {
  it('unpacks to what was packed, bit by bit', async () => {
    const data = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251));
    const to = await unpack(odd({ name: 'torch/lib/big.so', data }));
    expect(readFileSync(join(to, 'torch/lib/big.so')).equals(data)).toBe(true);
    expect(readFileSync(join(to, 'torch/version.py'), 'utf8')).toContain('2.13.0+cpu');
  });

  it('has a CRC-32 that agrees with zlib’s, in one go and in parts', () => {
    const data = Buffer.from('The quick brown fox jumps over the lazy dog');
    expect(crc32(data, 0)).toBe(expectedCrc(data));
    expect(crc32(data.subarray(9), crc32(data.subarray(0, 9), 0))).toBe(expectedCrc(data));
  });
});

describe('a wheel that is damaged or hostile', () => {
  const whole = wheel();
  const cases: [string, () => Buffer, RegExp][] = [
    ['nothing', () => Buffer.alloc(0), /empty/],
    ['a web page', () => Buffer.from('<!doctype html><p>Blocked'.padEnd(200)), /a web page/],
    ['a gzip file', () => Buffer.from([0x1f, 0x8b, ...Buffer.alloc(100)]), /gzip/],
    ['cut off at the end', () => whole.subarray(0, -30), /begins as a zip and ends too soon/],
    ['cut off in the middle', () => whole.subarray(0, whole.length >> 1), /ends too soon/],
    ['an entry above the folder', () => odd({ name: '../evil.so', data: 'x' }), /\.\.\/evil\.so/],
    ['an entry above, within', () => odd({ name: 'torch/../../evil', data: 'x' }), /relative path/],
    ['an absolute name', () => odd({ name: '/etc/evil', data: 'x' }), /absolute path/],
    ['a name of Windows', () => odd({ name: '..\\evil', data: 'x' }), /invalid characters/],
    ['a drive', () => odd({ name: 'C:/evil', data: 'x' }), /absolute path/],
    ['a NUL in a name', () => odd({ name: 'torch/a\0b', data: 'x' }), /NUL/],
    [
      'a link',
      () => odd({ name: 'torch/lib/a.so', data: '/etc', mode: 0o120777 }),
      /symbolic link/,
    ],
    [
      'a device',
      () => odd({ name: 'torch/lib/a.so', data: 'x', mode: 0o020644 }),
      /neither a file/,
    ],
    ['encryption', () => odd({ name: 'torch/a', data: 'x', encrypted: true }), /encrypted/],
    ['a name twice', () => odd({ name: 'torch/version.py', data: 'x' }), /there twice/],
    ['an impossible size', () => odd({ name: 'a', data: 'x', claims: 4e9 }), /deflate cannot/],
    [
      'too many bytes',
      () => odd({ name: 'a', data: Buffer.alloc(1e5), claims: 900 }),
      /a: too many/,
    ],
    ['too few bytes', () => odd({ name: 'a', data: 'abc', claims: 900 }), /a: not enough bytes/],
    ['another CRC', () => odd({ name: 'a', data: 'abc', crc: 1 }), /CRC 352441c2 where 00000001/],
  ];
  it.each(cases)('%s', async (_, bytes, message) => {
    const outcome = unpack(bytes());
    await expect(outcome).rejects.toMatchObject({ code: 'M3L_LIBTORCH_ARCHIVE' });
    await expect(outcome).rejects.toThrow(message);
    await expect(outcome).rejects.toThrow(/Fetch it again .* or name another with --from/);
  });

  it('more bytes altogether than any wheel has', async () => {
    // Each entry alone is one that deflate could make.
    const data = randomBytes(4_000_000);
    const many = Array.from({ length: 8 }, (_, i) => ({ name: `${i}`, data, claims: 4.1e9 }));
    await expect(Archive.open(file(zip(many)))).rejects.toThrow(/would unpack to 32\.8 GB/);
  });

  it('any one byte altered is found, or is in no byte that counts', async () => {
    const name = 'torch/lib/libc10.so';
    const data = Buffer.from(Array.from({ length: 400 }, (_, i) => (i * 37) % 256));
    const bytes = zip([{ name, data }]);
    for (let at = 0; at < bytes.length; at += 3) {
      const altered = Buffer.from(bytes);
      altered[at]! ^= 0x41;
      const to = await unpack(altered).catch((error) => {
        expect(error).toMatchObject({ code: 'M3L_LIBTORCH_ARCHIVE' });
        return null;
      });
      if (to === null) continue;
      const found = (() => {
        try {
          return readFileSync(join(to, name));
        } catch {
          // A byte of the name: the file is another, and a wheel without this one is refused later.
          return data;
        }
      })();
      expect(found.equals(data), `byte ${at}`).toBe(true);
    }
  });
});
