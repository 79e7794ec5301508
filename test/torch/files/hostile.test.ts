import { readFileSync, writeFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { zipChunks } from '../../../dist/torch/files/zip-writer.js';
import { fixture } from './describe.js';
import { scratch } from './scratch.js';

const file = scratch();
const coded = (code: string) => expect.objectContaining({ code });

/** A file of PyTorch with this pickle and these storages. */
function write(pickle: Buffer, storages: Record<string, Buffer> = {}): string {
  const entries = Object.entries({
    'data.pkl': pickle,
    ...Object.fromEntries(Object.entries(storages).map(([key, bytes]) => [`data/${key}`, bytes])),
  }).map(([name, bytes]) => ({
    name: `archive/${name}`,
    size: bytes.length,
    chunks: () => [bytes],
  }));
  writeFileSync(file('x.pth'), Buffer.concat([...zipChunks(entries)]));
  return file('x.pth');
}

const int = (value: number) => {
  const bytes = Buffer.alloc(5, 'J');
  bytes.writeInt32LE(value, 1);
  return bytes;
};
const long = (value: bigint) => {
  const bytes = Buffer.alloc(10);
  bytes[0] = 0x8a;
  bytes[1] = 8;
  bytes.writeBigInt64LE(value, 2);
  return bytes;
};
const text = (value: string) => {
  const bytes = Buffer.alloc(5, 'X');
  bytes.writeUInt32LE(value.length, 1);
  return Buffer.concat([bytes, Buffer.from(value)]);
};
const tuple = (...items: Buffer[]) => Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')]);
const global = (name: string) => {
  const at = name.lastIndexOf('.');
  return Buffer.from(`c${name.slice(0, at)}\n${name.slice(at + 1)}\n`);
};
const call = (name: string, ...args: Buffer[]) =>
  Buffer.concat([global(name), tuple(...args), Buffer.from('R')]);
const program = (...parts: (Buffer | string)[]) =>
  Buffer.concat([
    Buffer.from([0x80, 2]),
    ...parts.map((part) => Buffer.from(part as string)),
    Buffer.from('.'),
  ]);
const storage = (count: Buffer, type = 'torch.FloatStorage', key = '0') =>
  Buffer.concat([
    tuple(text('storage'), global(type), text(key), text('cpu'), count),
    Buffer.from('Q'),
  ]);
const tensor = (count: Buffer, offset: Buffer, size: Buffer[], stride: Buffer[], type?: string) =>
  call(
    'torch._utils._rebuild_tensor_v2',
    storage(count, type),
    offset,
    tuple(...size),
    tuple(...stride),
    Buffer.from([0x89]),
    call('collections.OrderedDict'),
  );

const values = Buffer.from(new Float32Array([1, 2, 3, 4]).buffer);
const four = { 0: values };

describe('a hostile pickle', () => {
  it('01 the same made well is read', () =>
    torch.scope(() => {
      const path = write(program(tensor(int(4), int(1), [int(3)], [int(1)])), four);
      expect(torch.load<torch.Tensor>(path).toArray()).toEqual([2, 3, 4]);
    }));

  it.each<[string, Buffer, RegExp]>([
    ['os.system', program(call('os.system', text('touch /tmp/x'))), /asks for os\.system/],
    ['eval', program(call('__builtin__.eval', text('1'))), /asks for __builtin__\.eval/],
    [
      'getattr',
      program(call('builtins.getattr', text('a'), text('b'))),
      /asks for builtins\.getattr/,
    ],
    [
      'a name of JavaScript',
      program(call('constructor.prototype')),
      /asks for constructor\.prototype/,
    ],
    ['__proto__ as a module', program(global('__proto__.x')), /asks for __proto__\.x/],
    ['a call of a dtype', program(Buffer.from('ctorch\nfloat32\n)R')), /calls what is no class/],
    ['a call of a mere name', program('ctorch\nTensor\n)R'), /torch\.Tensor, which is only a name/],
    ['a call of a call', program(call('collections.OrderedDict'), ')R'), /calls what is no class/],
    ['state for a list', program('])b'), /gives state to what takes none/],
    [
      'a class as a value',
      program('ctorch\nTensor\n'),
      /holds the class or function torch\.Tensor/,
    ],
    [
      'a storage as a value',
      program(storage(int(4))),
      /holds the class or function torch\.storage/,
    ],
    ['an empty stack', program(''), /takes from an empty stack/],
    ['no mark', program('t'), /lacks a mark/],
    ['a stack below a mark', program('N(0'), /takes from an empty stack/],
    ['what was never kept', program(Buffer.from([0x68, 9])), /recalls 9/],
    ['an append to a dict', program('}Na'), /appends to what is no list/],
    ['an item of a list', program(']NNs'), /sets an item of what is no dict/],
    ['an odd dict', program('}(Nu'), /a key without a value/],
    ['an unknown instruction', program('\x01'), /instruction 0x1,/],
    ['another instruction', program('i'), /instruction 0x69 \('i'\)/],
    ['a registry code', program(Buffer.from([0x82, 1])), /copyreg/],
    ['a later protocol', program(Buffer.from([0x80, 9])), /protocol 9/],
    [
      'a number of megabytes',
      program(Buffer.from([0x8b, 0, 0, 16, 0])),
      /a number of 1048576 bytes/,
    ],
    ['an end', Buffer.from([0x80, 2, 0x58, 255, 255, 255, 127]), /cut short/],
    ['deep nesting', program(']'.repeat(600), 'a'.repeat(599)), /nested deeper than 500/],
    [
      'a storage that is not there',
      program(tensor(int(4), int(0), [], [], undefined).subarray(0)),
      /storage '0' is not in it/,
    ],
  ])('02 %s is refused', (name, pickle, message) => {
    const path = write(pickle, name.includes('not there') ? {} : four);
    const before = torch.memory().tensors;
    expect(() => torch.load(path)).toThrow(message);
    expect(() => torch.load(path)).toThrow(coded('M3L_PICKLE'));
    expect(torch.memory().tensors).toBe(before);
  });

  const huge = long(2n ** 62n);
  it.each<[string, Buffer, RegExp]>([
    [
      'a count beyond the record',
      tensor(int(5), int(0), [int(5)], [int(1)]),
      /16 bytes, expected 20/,
    ],
    ['a count beyond numbers', tensor(huge, int(0), [int(1)], [int(1)]), /too large|count/],
    ['a negative count', tensor(int(-4), int(0), [int(1)], [int(1)]), /the count -4/],
    ['a size beyond', tensor(int(4), int(0), [int(5)], [int(1)]), /does not fit its storage/],
    ['an offset beyond', tensor(int(4), int(4), [int(1)], [int(1)]), /does not fit its storage/],
    ['a stride beyond', tensor(int(4), int(0), [int(2)], [int(4)]), /does not fit its storage/],
    ['a negative stride', tensor(int(4), int(3), [int(4)], [int(-1)]), /the stride -1/],
    [
      'a huge size',
      tensor(int(4), int(0), [huge, huge], [int(0), int(0)]),
      /size 4611686018427387904/,
    ],
    [
      'a product beyond',
      tensor(int(4), int(0), Array(3).fill(int(2 ** 30)), Array(3).fill(int(0))),
      /too large/,
    ],
    ['too few strides', tensor(int(4), int(0), [int(2), int(2)], [int(2)]), /2 sizes, 1 strides/],
    [
      'too many dimensions',
      tensor(int(4), int(0), Array(65).fill(int(1)), Array(65).fill(int(1))),
      /no valid size/,
    ],
    [
      'a gradient of integers',
      Buffer.concat([
        global('torch._utils._rebuild_parameter'),
        tuple(
          tensor(int(4), int(0), [int(4)], [int(1)], 'torch.IntStorage'),
          Buffer.from([0x88]),
          call('collections.OrderedDict'),
        ),
        Buffer.from('R'),
      ]),
      /int32 should require a gradient/,
    ],
    [
      'sparse indices beyond',
      call(
        'torch._utils._rebuild_sparse_tensor',
        call('torch.serialization._get_layout', text('torch.sparse_coo')),
        tuple(
          tensor(int(2), int(0), [int(1), int(2)], [int(2), int(1)], 'torch.LongStorage'),
          tensor(int(2), int(0), [int(2)], [int(1)], 'torch.DoubleStorage'),
          tuple(int(1)),
        ),
      ),
      /layout sparse: .*(found index|size)/,
    ],
  ])('03 a tensor with %s is refused', (_, pickle, message) => {
    const path = write(program(pickle), four);
    const before = torch.memory().tensors;
    expect(() => torch.load(path)).toThrow(message);
    expect(() => torch.load(path)).toThrow(coded('M3L_PICKLE'));
    expect(torch.memory().tensors).toBe(before);
  });

  const make = (name: string, ...args: Buffer[]) =>
    Buffer.concat([global(name), tuple(...args), Buffer.from('\x81', 'latin1')]);
  const state = (...items: Buffer[]) => Buffer.concat([tuple(...items), Buffer.from('b')]);
  const old = Buffer.concat([
    make('torch.FloatTensor'),
    state(storage(int(4)), int(0), tuple(int(2), int(2)), tuple(int(2), int(1))),
  ]);
  const rebuilt = call(
    'torch._utils._rebuild_tensor',
    storage(int(4)),
    int(0),
    tuple(int(4)),
    tuple(int(1)),
  );
  const [yes, no] = [Buffer.from([0x88]), Buffer.from([0x89])];
  const hooks = call('collections.OrderedDict');

  it.each<[string, Buffer, number[], boolean]>([
    ['a tensor of 0.1', old, [2, 2], false],
    [
      'a parameter of 0.1',
      Buffer.concat([
        make('torch.nn.parameter.Parameter'),
        state(old, Buffer.from('N'), hooks, yes, no),
      ]),
      [2, 2],
      true,
    ],
    [
      'a parameter of 0.2',
      Buffer.concat([make('torch.nn.parameter.Parameter', rebuilt), state(no, no, hooks)]),
      [4],
      false,
    ],
    ['a parameter of 0.3', call('torch.nn.parameter.Parameter', rebuilt, yes), [4], true],
  ])('04 %s is read', (_, pickle, shape, requiresGrad) =>
    torch.scope(() => {
      const before = torch.memory().tensors;
      const value = torch.load<torch.Tensor>(write(program(pickle), four));
      expect(value.shape).toEqual(shape);
      expect(value.requiresGrad).toBe(requiresGrad);
      expect(value.detach().reshape([-1]).toArray()).toEqual([1, 2, 3, 4]);
      value.dispose();
      expect(torch.memory().tensors).toBeLessThanOrEqual(before + 2);
    }),
  );

  it.each([
    Buffer.concat([make('torch.FloatTensor'), state(int(1))]),
    make('torch.FloatTensor'),
    Buffer.concat([
      make('torch.nn.parameter.Parameter'),
      state(int(1), int(1), int(1), int(1), int(1)),
    ]),
    Buffer.concat([rebuilt, state(yes)]),
  ])('05 an old form that is none is refused: %#', (pickle) => {
    expect(() => torch.load(write(program(pickle), four))).toThrow(coded('M3L_PICKLE'));
  });

  it('06 a tensor over one element many times is no memory', () =>
    torch.scope(() => {
      const sizes = [int(2 ** 20), int(2 ** 20)];
      const path = write(program(tensor(int(4), int(0), sizes, [int(0), int(0)])), four);
      const value = torch.load<torch.Tensor>(path);
      expect(value.shape).toEqual([2 ** 20, 2 ** 20]);
      expect(torch.memory().bytes).toBeLessThan(2 ** 20);
    }));

  it.each([
    [']', /more than 6\d{4} values, which its size/],
    ['(', /more than 1\d{6} instructions, which its size/],
  ])(
    '07 more than the file justifies, packed a thousandfold, is refused early: %s',
    (code, message) => {
      const many = Buffer.alloc(3 << 20, code);
      const pickle = Buffer.concat([Buffer.from([0x80, 2]), many, Buffer.from('.')]);
      const entry = { name: 'archive/data.pkl', size: pickle.length, chunks: () => [pickle] };
      writeFileSync(file('bomb.pth'), Buffer.concat([...zipChunks([entry], { compress: true })]));
      expect(readFileSync(file('bomb.pth')).length).toBeLessThan(5000);
      expect(() => torch.load(file('bomb.pth'))).toThrow(message);
    },
  );
});

describe('a hostile zip archive', () => {
  const sound = () => readFileSync(fixture('tensor.pth'));
  /** The archive with a change at so many bytes after the last place of a signature. */
  const changed = (
    signature: number,
    at: number,
    change: (bytes: Buffer, place: number) => void,
  ) => {
    const bytes = sound();
    const magic = Buffer.alloc(4);
    magic.writeUInt32LE(signature);
    change(bytes, bytes.lastIndexOf(magic) + at);
    writeFileSync(file('changed.pth'), bytes);
    return file('changed.pth');
  };
  const withoutBit = () => {
    const bytes = sound();
    const at = bytes.indexOf(new Uint8Array(new Float32Array([0, 1, 2]).buffer));
    bytes.writeFloatLE(3, at);
    writeFileSync(file('changed.pth'), bytes);
    return file('changed.pth');
  };
  const END_64 = 0x06064b50;
  const CENTRAL = 0x02014b50;

  it.each<[string, () => string, RegExp]>([
    [
      'a directory beyond',
      () => changed(END_64, 48, (b, at) => b.writeBigUInt64LE(2n ** 40n, at)),
      /directory .* is not in it/,
    ],
    [
      'more entries than fit',
      () => changed(END_64, 32, (b, at) => b.writeBigUInt64LE(2n ** 33n, at)),
      /8589934592 entries/,
    ],
    [
      'a zip64 record beyond',
      () => changed(0x07064b50, 8, (b, at) => b.writeBigUInt64LE(2n ** 62n, at)),
      /zip64 record/,
    ],
    [
      'an entry beyond',
      () => changed(CENTRAL, 42, (b, at) => b.writeUInt32LE(0x7fffffff, at)),
      /ends after byte/,
    ],
    [
      'a size that is not stored',
      () => changed(CENTRAL, 24, (b, at) => b.writeUInt32LE(7, at)),
      /is stored in \d+ bytes, but has 7/,
    ],
    [
      'an unknown method',
      () => changed(CENTRAL, 10, (b, at) => b.writeUInt16LE(12, at)),
      /packed by method 12/,
    ],
    [
      'an encrypted entry',
      () => changed(CENTRAL, 8, (b, at) => b.writeUInt16LE(1, at)),
      /encrypted/,
    ],
    ['an overlap', () => changed(CENTRAL, 42, (b, at) => b.writeUInt32LE(0, at)), /overlaps/],
    [
      'no entry in its place',
      () => changed(CENTRAL, 0, (b, at) => b.writeUInt32LE(0, at)),
      /no entry at byte/,
    ],
    ['a bit that fell over', () => withoutBit(), /'tensor\/data\/0' has the CRC-32/],
  ])('08 %s', (_, make, message) => {
    const before = torch.memory().tensors;
    const path = make();
    expect(() => torch.load(path)).toThrow(message);
    expect(() => torch.load(path)).toThrow(coded('M3L_ZIP'));
    expect(torch.memory().tensors).toBe(before);
  });

  it('09 a size that no packing reaches is refused before anything of it is made', () => {
    const packed = deflateRawSync(Buffer.alloc(100));
    const entry = { name: 'a.npy', size: packed.length, chunks: () => [packed] };
    const bytes = Buffer.concat([...zipChunks([entry])]);
    const central = bytes.indexOf(Buffer.from('PK\x01\x02'));
    bytes.writeUInt16LE(8, central + 10);
    bytes.writeUInt32LE(2 ** 31 - 2, central + 24);
    writeFileSync(file('bomb.npz'), bytes);
    expect(() => torch.loadNpz(file('bomb.npz'))).toThrow(
      /2147483646 bytes in \d+, which no packing/,
    );
    bytes.writeUInt32LE(50, central + 24);
    writeFileSync(file('bomb.npz'), bytes);
    expect(() => torch.loadNpz(file('bomb.npz'))).toThrow(/cannot be unpacked/);
  });

  it('10 a name that is there twice', () => {
    const entry = { name: 'a.npy', size: 1, chunks: () => [Buffer.from('x')] };
    writeFileSync(file('twice.npz'), Buffer.concat([...zipChunks([entry, entry])]));
    expect(() => torch.load(file('twice.npz'))).toThrow(/'a\.npy' is in it twice/);
  });
});
