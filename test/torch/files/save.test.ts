import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname } from 'node:path';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { libtorch } from '../../../dist/torch/native.js';
import { describeValue, expected, fixture, names } from './describe.js';
import { scratch } from './scratch.js';

type Tensor = torch.Tensor;
const file = scratch();
const coded = (code: string) => expect.objectContaining({ code });

describe('torch.save', () => {
  it.each(names('.pth').filter((name) => name !== 'no-sums.pth'))(
    '01 keeps what a file of PyTorch held: %s',
    (name) =>
      torch.scope(() => {
        const value = torch.load(fixture(name));
        torch.save(file('again.pth'), value);
        const again = torch.load(file('again.pth'));
        // What is lazily conjugated is written as values.
        expect(describeValue(again)).toEqual(expected(name));
        torch.save(file('third.pth'), again);
        expect(readFileSync(file('third.pth'))).toEqual(readFileSync(file('again.pth')));
      }),
  );

  it('02 writes the memory that tensors share once, and of a view only its own', () =>
    torch.scope(() => {
      const big = torch.arange(100_000, { dtype: 'float32' });
      const [left, right] = [big.narrow(0, 10, 4), big.narrow(0, 12, 4)];
      const far = big.narrow(0, 90_000, 2);
      const none = big.narrow(0, 11, 0);
      torch.save(file('views.pth'), { left, none, right, far, again: left });
      expect(readFileSync(file('views.pth')).length).toBeLessThan(3000);
      const read = torch.load<Record<string, Tensor>>(file('views.pth'));
      expect(read.left!.toArray()).toEqual([10, 11, 12, 13]);
      expect(read.right!.toArray()).toEqual([12, 13, 14, 15]);
      expect(read.far!.toArray()).toEqual([90_000, 90_001]);
      expect(read.left!.sameStorage(read.right!)).toBe(true);
      expect(read.left!.sameStorage(read.far!)).toBe(false);
      expect(read.none!.shape).toEqual([0]);
      expect(read.again).toBe(read.left);
    }));

  it('03 numbers: integral ones as integers, torch.scalar as floats; text, bytes, cycles', () =>
    torch.scope(() => {
      const list: unknown[] = [1, -(2 ** 40), 2n ** 70n, -(2n ** 63n), 0.5, -0, Number.NaN];
      list.push(Infinity, '', 'été 🙂', new Uint8Array([0, 255]), true, null, new Set([1]));
      const value = {
        list,
        map: new Map<torch.Saved, torch.Saved>([
          [1, 'a'],
          [2n ** 60n, 'b'],
        ]),
      };
      (value as Record<string, unknown>).self = value;
      (value as Record<string, unknown>).float = torch.scalar(2);
      Object.defineProperty(value, '__proto__', { value: 3, enumerable: true });
      torch.save(file('values.pth'), value as unknown as torch.Saved);
      const read = torch.load<Record<string, unknown>>(file('values.pth'));
      expect(read.list).toEqual(list);
      expect(read.map).toEqual(value.map);
      expect(read.self).toBe(read);
      expect(read.float).toBe(2);
      expect(Object.getOwnPropertyDescriptor(read, '__proto__')?.value).toBe(3);
      expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
      const bytes = readFileSync(file('values.pth'));
      // BINFLOAT 2.0, BININT1 1.
      expect(bytes.includes(Buffer.from('474000000000000000', 'hex'))).toBe(true);
      expect(bytes.includes(Buffer.from('4b01', 'hex'))).toBe(true);
    }));

  it('04 a file that Python reads, its values at multiples of 64 bytes', ({ skip }) => {
    torch.scope(() => {
      const base = torch.arange(6, { dtype: 'float32' }).reshape([2, 3]);
      const w = torch.ones([3]).requiresGrad_();
      torch.save(file('python.pth'), {
        base,
        t: base.t(),
        w,
        half: base.to('bfloat16'),
        tiny: base.to('float8_e4m3fn'),
        u: torch.tensor([1, 65535], { dtype: 'uint16' }),
        sparse: base.toSparse(),
        csr: base.toSparseCsr(),
        list: [1, 2n ** 80n, 0.5, 'é', null, true, new Uint8Array([0, 255]), new Set(['a'])],
        map: new Map([[3, 'three']]),
        complex: torch.scalar(1, -2),
      });
    });
    const bytes = readFileSync(file('python.pth'));
    const values = bytes.indexOf(new Uint8Array(new Float32Array([0, 1, 2, 3]).buffer));
    expect(values % 64).toBe(0);
    const script = `
import torch, zipfile, sys
path = sys.argv[1]
for options in ({}, {"mmap": True}):
    x = torch.load(path, weights_only=True, **options)
    assert x["base"].tolist() == [[0, 1, 2], [3, 4, 5]] and x["t"].stride() == (1, 3)
    assert x["base"].untyped_storage().data_ptr() == x["t"].untyped_storage().data_ptr()
    assert x["w"].requires_grad and not x["base"].requires_grad
    assert x["half"].dtype == torch.bfloat16 and x["half"].tolist() == x["base"].tolist()
    assert x["tiny"].dtype == torch.float8_e4m3fn and x["tiny"].float().tolist() == x["base"].tolist()
    assert x["u"].dtype == torch.uint16 and x["u"].tolist() == [1, 65535]
    assert torch.equal(x["sparse"].to_dense(), x["base"]) and torch.equal(x["csr"].to_dense(), x["base"])
    assert x["list"] == [1, 2**80, 0.5, "é", None, True, b"\\x00\\xff", {"a"}]
    assert x["map"] == {3: "three"} and x["complex"] == 1 - 2j
assert zipfile.ZipFile(path).testzip() is None
print("read")`;
    const { stdout, stderr } = runPython(script, file('python.pth'));
    if (stderr.includes("No module named 'torch'")) skip('no Python has torch');
    expect(stdout, stderr).toBe('read\n');
  });

  it.each<[string, () => unknown, RegExp]>([
    ['undefined', () => ({ a: { b: [1, undefined] } }), /'a\.b\.1' is undefined/],
    ['a function', () => () => 1, /the value is the function/],
    ['an instance', () => ({ at: new Date(0) }), /'at' is a Date/],
    ['a typed array', () => [new Float32Array(2)], /'0' is a Float32Array.*torch\.tensor\(view\)/],
    ['half a pair', () => '\ud800', /half of a surrogate/],
    ['a tensor as a key', () => new Map([[torch.ones([1]), 1]]), /has a Tensor as a key/],
    [
      'a thing with a stateDict',
      () => ({
        m: {
          __proto__: new (class M {
            stateDict() {}
          })(),
        },
      }),
      /save its stateDict/,
    ],
    ['an endless integer', () => [2n ** 2040n], /'0' is an integer of more than 2040 bits/],
    ['what is nested deep', () => nested(600), /nested deeper than 500/],
  ])('05 %s is refused by its place, and nothing is written', (_, make, message) =>
    torch.scope(() => {
      const before = readdirSync(dirname(file('x'))).length;
      const save = torch.save as (path: string, value: unknown) => void;
      expect(() => save(file('refused.pth'), make())).toThrow(message);
      expect(() => save(file('refused.pth'), make())).toThrow(coded('M3L_ARGUMENT'));
      expect(existsSync(file('refused.pth'))).toBe(false);
      expect(readdirSync(dirname(file('x'))).length).toBe(before);
    }),
  );

  it('06 one memory under two dtypes has no form, as in PyTorch', () =>
    torch.scope(() => {
      const x = torch.ones([2]);
      expect(() => torch.save(file('two.pth'), [x, x.view('int32')])).toThrow(
        /as float32 and as int32.*clone\(\)/,
      );
    }));

  it('07 a failed save leaves the old file and no tensors', () =>
    torch.scope(() => {
      torch.save(file('kept.pth'), 1);
      const before = torch.memory().tensors;
      const gone = torch.ones([2]);
      gone.dispose();
      expect(() => torch.save(file('kept.pth'), [gone])).toThrow(coded('M3L_DISPOSED'));
      expect(() => torch.save('/no/such/folder/x.pth', 1)).toThrow(coded('M3L_WRITE_FAILED'));
      expect(torch.load(file('kept.pth'))).toBe(1);
      expect(torch.memory().tensors).toBe(before);
    }));

  it('08 thousands of tensors, each its own', () =>
    torch.scope(() => {
      const many = Object.fromEntries(
        Array.from({ length: 3000 }, (_, i) => [`w${i}`, torch.full([2], BigInt(i))]),
      );
      torch.save(file('many.pth'), many);
      const read = torch.load<Record<string, Tensor>>(file('many.pth'));
      expect(Object.keys(read)).toHaveLength(3000);
      expect(read.w2999!.toArray()).toEqual([2999, 2999]);
    }));

  it('09 a file without a suffix, and of one value, is a file too', () =>
    torch.scope(() => {
      for (const value of [null, 3, 'text', [], {}]) {
        torch.save(file('plain'), value as torch.Saved);
        expect(torch.load(file('plain'))).toEqual(value);
      }
      writeFileSync(file('empty'), '');
      expect(() => torch.load(file('empty'))).toThrow(coded('M3L_FORMAT'));
    }));
});

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

/** With the wheel whose libtorch is in use, or Python's own torch. */
function runPython(script: string, path: string): { stdout: string; stderr: string } {
  const places = [dirname(libtorch().folder), process.env.PYTHONPATH].filter(Boolean);
  return spawnSync('python3', ['-W', 'ignore', '-c', script, path], {
    encoding: 'utf8',
    env: {
      ...process.env,
      PYTHONPATH: places.join(delimiter),
      PYTHONDONTWRITEBYTECODE: '1',
      OMP_NUM_THREADS: '1',
    },
  });
}
