import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { describeValue, fixture, names } from './describe.js';
import { scratch } from './scratch.js';

const file = scratch();
const coded = (code: string) => expect.objectContaining({ code });
const inOrder = (name: string) => !/fortran|big-endian|version/.test(name);

/** An array of NumPy with this header and these values. */
function npy(header: string, values = '', version = 1): string {
  const head = Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0`, 'latin1');
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(header.length);
  else length.writeUInt32LE(header.length);
  writeFileSync(
    file('x.npy'),
    Buffer.concat([head, length, Buffer.from(header + values, 'latin1')]),
  );
  return file('x.npy');
}

const literal = (descr: string, shape: string, order = 'False') =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;

describe('files of NumPy', () => {
  it.each(names('.npy').filter(inOrder))('01 are written as NumPy writes them: %s', (name) =>
    torch.scope(() => {
      const tensor = torch.loadNpy(fixture(name));
      torch.saveNpy(file('again.npy'), tensor);
      const [ours, theirs] = [readFileSync(file('again.npy')), readFileSync(fixture(name))];
      // NumPy leaves room in the header for a longer shape.
      const values = tensor.nbytes;
      expect(ours.subarray(ours.length - values)).toEqual(theirs.subarray(theirs.length - values));
      expect(ours.toString('latin1', 10).trim().split('}')[0]).toBe(
        theirs.toString('latin1', 10).trim().split('}')[0],
      );
      expect((ours.length - values) % 64).toBe(0);
    }),
  );

  it('02 views are written in C order, archives stored or packed', () =>
    torch.scope(() => {
      const grid = torch.arange(6, { dtype: 'int32' }).reshape([2, 3]);
      torch.saveNpy(file('t.npy'), grid.t());
      expect(torch.loadNpy(file('t.npy')).toArray()).toEqual(grid.t().toArray());
      const tensors = { grid, 'a/b': torch.tensor(2.5), none: torch.zeros([0]) };
      for (const compress of [false, true]) {
        torch.saveNpz(file('all.npz'), tensors, { compress });
        const read = torch.loadNpz(file('all.npz'));
        expect(describeValue(read)).toEqual(describeValue(tensors));
      }
    }));

  it('03 NumPy reads them', ({ skip }) => {
    torch.scope(() => {
      const x = torch.tensor(
        [
          [1, 2],
          [3, 4],
        ],
        { dtype: 'float16' },
      );
      torch.saveNpy(file('x.npy'), x);
      torch.saveNpz(file('x.npz'), { x, y: torch.tensor([true]) }, { compress: true });
      torch.saveNpz(file('y.npz'), { x });
    });
    const script = `
import sys
import numpy as np
x = np.load(sys.argv[1] + ".npy")
assert x.dtype == np.float16 and x.tolist() == [[1, 2], [3, 4]]
z = np.load(sys.argv[1] + ".npz")
assert (z["x"] == x).all() and z["y"].tolist() == [True]
assert (np.load(sys.argv[1][:-1] + "y.npz")["x"] == x).all()
print("read")`;
    const { stdout, stderr } = spawnSync('python3', ['-c', script, file('x')], {
      encoding: 'utf8',
    });
    if (stderr.includes("No module named 'numpy'")) skip('no Python has NumPy');
    expect(stdout, stderr).toBe('read\n');
  });

  it.each<[string, () => string, RegExp]>([
    ['another version', () => npy(literal("'<f4'", '()'), '1234', 4), /version 4, expected 1 to 3/],
    ['a header that is cut', () => npy('{'), /does not begin with .* a header's length/],
    ['no literal', () => npy('__import__("os")\n'), /its header is/],
    ['too few values', () => npy(literal("'<f4'", '(2,)'), '1234'), /4 bytes of values.*takes 8/],
    ['too many values', () => npy(literal("'<f4'", '()'), '12345'), /5 bytes of values/],
    [
      'a huge shape',
      () => npy(literal("'<f4'", '(9007199254740993, 9007199254740993)')),
      /too large/,
    ],
    ['a huge empty shape', () => npy(literal("'<f4'", '(0, 9007199254740993)')), /too large/],
    ['many dimensions', () => npy(literal("'<f4'", `(${'1, '.repeat(65)})`), '1234'), /too large/],
    ['long doubles', () => npy(literal("'<f16'", '()')), /elements of f16.*astype/],
    ['dates', () => npy(literal("'<M8[ns]'", '()')), /dates or times/],
    ['objects', () => npy(literal("'|O'", '()')), /nothing of a file is executed/],
  ])('04 %s is an error, and leaves no tensors', (_, make, message) => {
    const path = make();
    const before = torch.memory().tensors;
    expect(() => torch.loadNpy(path)).toThrow(message);
    expect(() => torch.loadNpy(path)).toThrow(coded('M3L_NPY'));
    expect(torch.memory().tensors).toBe(before);
  });

  it('05 what NumPy has no form for is refused before anything is written', () =>
    torch.scope(() => {
      const x = torch.ones([2], { dtype: 'bfloat16' });
      expect(() => torch.saveNpy(file('no.npy'), x)).toThrow(/bfloat16.*x\.to\('float32'\)/);
      expect(() => torch.saveNpz(file('no.npz'), { x })).toThrow(/'x': found bfloat16/);
      expect(() => torch.saveNpy(file('no.npy'), 3 as never)).toThrow(coded('M3L_ARGUMENT'));
      expect(() => torch.saveNpz(file('no.npz'), null as never)).toThrow(coded('M3L_ARGUMENT'));
      expect(existsSync(file('no.npy'))).toBe(false);
    }));

  it('06 an archive of something else is told', () => {
    expect(() => torch.loadNpz(fixture('zip.pth'))).toThrow(/data\.pkl.*torch\.load reads/);
    expect(() => torch.loadNpy(fixture('zip.pth'))).toThrow(/does not begin with/);
  });
});
