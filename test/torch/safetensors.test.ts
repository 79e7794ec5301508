import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;
const file = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-safetensors-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function writeBytes(name: string, bytes: Uint8Array): string {
  writeFileSync(file(name), bytes);
  return file(name);
}

/** A file of the given header (an object, or raw text) and data. */
function write(name: string, header: unknown, data: Uint8Array, length?: bigint): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(length ?? BigInt(json.length));
  return writeBytes(name, Buffer.concat([size, json, data]));
}

const entry = (changes: object = {}) => ({
  w: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...changes },
});

describe('safetensors', () => {
  it('01 every dtype of the format survives a round trip, with its bytes', () =>
    torch.scope(() => {
      const dtypes = torch.dtypes.filter((d) => !['complex32', 'complex128'].includes(d));
      const tensors = Object.fromEntries(
        dtypes.map((dtype) => [
          dtype,
          torch.tensor(
            [
              [1, 0, 1],
              [0, 1, 1],
            ],
            { dtype },
          ),
        ]),
      );
      torch.saveSafetensors(file('all'), tensors, { format: 'pt', note: 'π' });
      const read = torch.loadSafetensors(file('all'));
      expect(read.metadata).toEqual({ format: 'pt', note: 'π' });
      expect(Object.keys(read.tensors).sort()).toEqual([...dtypes].sort());
      for (const dtype of dtypes) {
        const tensor = read.tensors[dtype]!;
        expect([tensor.dtype, tensor.shape]).toEqual([dtype, [2, 3]]);
        expect(tensor.toTypedArray()).toEqual(tensors[dtype]!.toTypedArray());
      }
    }));

  it('02 scalars, empty tensors, views and files without tensors', () =>
    torch.scope(() => {
      const view = torch.arange(6).reshape([2, 3]).t();
      torch.saveSafetensors(file('shapes'), {
        scalar: torch.tensor(3),
        empty: torch.zeros([0, 4]),
        view,
      });
      const { tensors } = torch.loadSafetensors(file('shapes'));
      expect(tensors.scalar!.item()).toBe(3);
      expect(tensors.empty!.shape).toEqual([0, 4]);
      expect(tensors.view!.toArray()).toEqual(view.toArray());
      torch.saveSafetensors(file('none'), {});
      expect(torch.loadSafetensors(file('none'))).toEqual({ tensors: {}, metadata: {} });
    }));

  it('03 the header alone, aligned to 8 bytes, wide elements first', () =>
    torch.scope(() => {
      const tensors = { a: torch.ones([3], { dtype: 'uint8' }), b: torch.ones([3]) };
      torch.saveSafetensors(file('header'), tensors);
      expect(readFileSync(file('header')).readBigUInt64LE() % 8n).toBe(0n);
      const { entries } = torch.readSafetensorsHeader(file('header'));
      expect([...entries].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
        ['b', 'float32', [3]],
        ['a', 'uint8', [3]],
      ]);
    }));

  it('04 reads a file written by the reference implementation', () =>
    torch.scope(() => {
      // safetensors.numpy.save({'w': np.array([1., 2.], 'float32')}, {'k': 'v'})
      const header =
        '{"__metadata__":{"k":"v"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
      const path = write('reference', header, new Uint8Array(new Float32Array([1, 2]).buffer));
      const { tensors, metadata } = torch.loadSafetensors(path);
      expect(tensors.w!.toArray()).toEqual([1, 2]);
      expect(metadata).toEqual({ k: 'v' });
    }));

  it.each(['constructor', '__proto__', 'a "quoted: {[\\" name', ''])(
    '05 %j is a name like others',
    (name) =>
      torch.scope(() => {
        const tensors = Object.fromEntries([[name, torch.ones([1])]]);
        torch.saveSafetensors(file('names'), tensors);
        const read = torch.loadSafetensors(file('names')).tensors;
        expect(Object.entries(read).map(([key, tensor]) => [key, tensor.item()])).toEqual([
          [name, 1],
        ]);
        expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
      }),
  );

  const data = new Uint8Array(8);
  const broken: [string, () => string, RegExp][] = [
    ['an empty file', () => writeBytes('x', new Uint8Array()), /it has 0 bytes/],
    [
      'a header length beyond the file',
      () => write('x', entry(), data, 4000n),
      /header should have 4000/,
    ],
    ['an absurd header length', () => write('x', entry(), data, 2n ** 60n), /header should have/],
    ['a header that is not JSON', () => write('x', '{"w":', data), /header is not JSON/],
    ['a header that is a list', () => write('x', [], data), /not a JSON object/],
    [
      'an unknown dtype',
      () => write('x', entry({ dtype: 'F31' }), data),
      /'w' has dtype the string 'F31'/,
    ],
    ['a negative size', () => write('x', entry({ shape: [-2] }), data), /'w' has no valid shape/],
    ['reversed offsets', () => write('x', entry({ data_offsets: [8, 0] }), data), /data_offsets/],
    [
      'a shape that is not the range',
      () => write('x', entry({ shape: [3] }), data),
      /takes 12 bytes.*hold 8/,
    ],
    ['truncated data', () => write('x', entry(), data.subarray(5)), /truncated/],
    [
      'data that belongs to nobody',
      () => write('x', entry(), new Uint8Array(9)),
      /belong to no tensor/,
    ],
    [
      'a hole',
      () => write('x', entry({ data_offsets: [8, 16] }), new Uint8Array(16)),
      /starts at byte/,
    ],
    [
      'metadata of numbers',
      () => write('x', { __metadata__: { a: 1 } }, new Uint8Array()),
      /__metadata__/,
    ],
    [
      'a dtype in a list',
      () => write('x', entry({ dtype: ['F32'] }), data),
      /'w' has dtype the array/,
    ],
    [
      'a dtype that pretends to be text',
      () => write('x', entry({ dtype: { toString: 1 } }), data),
      /'w' has dtype an object/,
    ],
    [
      'a tensor described twice',
      () =>
        write(
          'x',
          '{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"\\u0077":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}',
          data,
        ),
      /names "\\u0077" twice/,
    ],
    [
      'a dtype given twice',
      () =>
        write('x', '{"w":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}}', data),
      /names "dtype" twice/,
    ],
    [
      'a header that is not UTF-8',
      () => writeBytes('x', Buffer.from([...[3, 0, 0, 0, 0, 0, 0, 0], 0x22, 0xff, 0x22])),
      /not UTF-8/,
    ],
    [
      'deep nesting',
      () => write('x', `{"w":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, data),
      /nested deeper than 3/,
    ],
    [
      'two tensors of the same bytes',
      () =>
        write(
          'x',
          {
            v: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
            w: { dtype: 'F32', shape: [1], data_offsets: [4, 8] },
          },
          data,
        ),
      /'w' starts at byte \d+, expected \d+/,
    ],
    [
      'a shape beyond every number',
      () => write('x', entry({ shape: [2 ** 52, 2 ** 52, 0], data_offsets: [0, 0] }), data),
      /too large/,
    ],
    [
      'too many dimensions',
      () => write('x', entry({ shape: new Array(100_000).fill(1), data_offsets: [0, 4] }), data),
      /'w' has no valid shape/,
    ],
    [
      'metadata in a list',
      () => write('x', '{"__metadata__":["a"]}', new Uint8Array()),
      /__metadata__/,
    ],
    ['an entry that is a number', () => write('x', { w: 1 }, new Uint8Array()), /not described/],
  ];

  it.each(broken)('06 %s is a clear error and leaves no tensors', (_, make, message) => {
    const before = torch.memory().tensors;
    const path = make();
    expect(() => torch.loadSafetensors(path)).toThrow(message);
    expect(() => torch.loadSafetensors(path)).toThrow(
      expect.objectContaining({ code: 'M3L_SAFETENSORS' }),
    );
    expect(() => torch.loadSafetensors(path)).toThrow(path);
    expect(torch.memory().tensors).toBe(before);
  });

  it('07 a missing file, a folder and a pipe that nobody writes to', () => {
    spawnSync('mkfifo', [file('pipe')]);
    for (const path of [folder, file('pipe'), '/dev/zero']) {
      expect(() => torch.loadSafetensors(path)).toThrow(
        expect.objectContaining({ code: 'M3L_READ_FAILED' }),
      );
    }
    expect(() => torch.loadSafetensors(file('missing'))).toThrow(
      expect.objectContaining({ code: 'M3L_READ_FAILED' }),
    );
  });

  it('08 a failed save leaves the old file and no temporary one', () =>
    torch.scope(() => {
      const path = file('kept');
      torch.saveSafetensors(path, { w: torch.ones([2]) });
      const old = readFileSync(path);
      const names = readdirSync(folder).length;
      const gone = torch.ones([2]);
      const tensors = { a: torch.ones([100]), gone };
      Object.defineProperty(gone, 'toTypedArray', {
        value: () => {
          throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
            syscall: 'write',
            code: 'ENOSPC',
          });
        },
      });
      expect(() => torch.saveSafetensors(path, tensors)).toThrow(/no space left.*unchanged/);
      expect(readFileSync(path)).toEqual(old);
      expect(readdirSync(folder).length).toBe(names);
    }));

  it('09 a disk that takes no more in the middle of a tensor leaves the old file', () => {
    const path = file('limited');
    const library = new URL('../../dist/torch/index.js', import.meta.url).href;
    // A file size limit of 64 KiB fails the write as a full disk does.
    const script = `
      import * as torch from ${JSON.stringify(library)};
      torch.saveSafetensors('${path}', { w: torch.ones([4]) });
      try { torch.saveSafetensors('${path}', { w: torch.ones([100000]) }); }
      catch (error) { console.log(error.code, error.message); }
      console.log(torch.loadSafetensors('${path}').tensors.w.toArray().join());`;
    const { stdout } = spawnSync(
      'bash',
      ['-c', 'ulimit -f 64; exec "$0" --input-type=module -e "$1"', process.execPath, script],
      { encoding: 'utf8' },
    );
    expect(stdout).toMatch(/^M3L_WRITE_FAILED .*EFBIG.*unchanged/);
    expect(stdout).toMatch(/\n1,1,1,1\n$/);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('10 a file that nobody may read, a folder that is none', ({ skip }) => {
    torch.scope(() => {
      expect(() =>
        torch.saveSafetensors(join(folder, 'no', 'such', 'folder'), { w: torch.ones([1]) }),
      ).toThrow(expect.objectContaining({ code: 'M3L_WRITE_FAILED' }));
    });
    if (process.getuid?.() === 0) skip('root may read everything');
    writeFileSync(file('secret'), '');
    chmodSync(file('secret'), 0);
    expect(() => torch.loadSafetensors(file('secret'))).toThrow(
      expect.objectContaining({ code: 'M3L_READ_FAILED' }),
    );
  });

  it('11 what safetensors has no form for is refused before anything is written', () =>
    torch.scope(() => {
      const path = file('refused');
      expect(() =>
        torch.saveSafetensors(path, { z: torch.ones([1], { dtype: 'complex128' }) }),
      ).toThrow(/'z' is complex128/);
      expect(() => torch.saveSafetensors(path, { z: 3 as never })).toThrow(/'z' must be a Tensor/);
      expect(() => torch.saveSafetensors(path, {}, { a: 1 as never })).toThrow(/metadata 'a'/);
      expect(existsSync(path)).toBe(false);
    }));

  it('12 metadata may be null, as where another writer had none', () =>
    torch.scope(() => {
      const path = write('null', { __metadata__: null, ...entry() }, new Uint8Array(8));
      expect(torch.loadSafetensors(path).metadata).toEqual({});
    }));

  it.each([
    ['version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n', /Git LFS.*git lfs pull/],
    ['PK\x03\x04\x14\x00\x00\x00 archive/data.pkl', /zip archive.*torch\.load/],
    ['\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.', /a pickle.*torch\.load/],
    ['\x93NUMPY\x01\x00v\x00{}', /NumPy array/],
    ['\x89HDF\r\n\x1a\n\0\0', /HDF5/],
    ['GGUF\x03\x00\x00\x00', /GGUF/],
    ['<!DOCTYPE html><html>', /web page/],
  ])('13 what is of another format is named: %j', (text, message) => {
    const path = writeBytes('other', Buffer.from(text.padEnd(40, ' '), 'latin1'));
    expect(() => torch.loadSafetensors(path)).toThrow(message);
  });

  it('14 text that UTF-8 cannot hold is refused', () =>
    torch.scope(() => {
      const path = file('half');
      const w = torch.ones([1]);
      expect(() => torch.saveSafetensors(path, { '\ud800': w })).toThrow(/half of a surrogate/);
      expect(() => torch.saveSafetensors(path, { w }, { a: '\udc00' })).toThrow(/half of a surr/);
      expect(existsSync(path)).toBe(false);
    }));

  it('15 an open file tells what it holds, and reads tensors one by one', async () => {
    const path = file('lazy');
    torch.scope(() =>
      torch.saveSafetensors(
        path,
        {
          w: torch.arange(6, { dtype: 'float32' }).reshape([2, 3]),
          b: torch.ones([5], { dtype: 'uint8' }),
        },
        { format: 'pt' },
      ),
    );
    const open = torch.openSafetensors(path);
    await torch.scope(async () => {
      const before = torch.memory().tensors;
      expect(open.names).toEqual(['w', 'b']);
      expect(open.metadata).toEqual({ format: 'pt' });
      expect(open.info('w')).toEqual({ dtype: 'float32', shape: [2, 3] });
      expect(torch.memory().tensors).toBe(before);
      const w = open.get('w');
      expect(w.toArray()).toEqual([
        [0, 1, 2],
        [3, 4, 5],
      ]);
      const mapped = open.get('w', { mmap: true });
      expect(mapped.toArray()).toEqual(w.toArray());
      mapped.fill_(7);
      expect((await open.getAsync('w')).toArray()).toEqual(w.toArray());
      expect(open.get('b', { mmap: true }).toArray()).toEqual([1, 1, 1, 1, 1]);
      expect(() => open.get('v')).toThrow(/found the string 'v', expected .*2 tensors \(w, b/);
      expect(() => open.get('w', { map: true } as never)).toThrow(/option 'map'/);
      // A file that shrinks meanwhile has a code.
      truncateSync(path, 100);
      expect(() => open.get('b')).toThrow(expect.objectContaining({ code: 'M3L_READ_FAILED' }));
    });
    open.close();
    open.close();
    expect(() => open.get('w')).toThrow(/was closed/);
    expect(() => torch.openSafetensors(file('missing'))).toThrow(
      expect.objectContaining({ code: 'M3L_READ_FAILED' }),
    );
  });
});
