import { readFileSync, writeFileSync } from 'node:fs';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { type FileRequest, FileSource, type Reading } from '../../../dist/torch/files/source.js';
import { readTorchZip } from '../../../dist/torch/files/torch-zip.js';
import { readDirectory } from '../../../dist/torch/files/zip.js';
import { readHeader } from '../../../dist/torch/safetensors-header.js';
import { describeValue, expected, fixture, names } from './describe.js';
import { scratch } from './scratch.js';

type Tensor = torch.Tensor;
const file = scratch();
const coded = (code: string) => expect.objectContaining({ code });
const files = [...names('.pth'), ...names('.npy'), ...names('.npz')];
const sound = files.filter((name) => name !== 'no-sums.pth');

describe('torch.load', () => {
  it.each(sound)('01 reads what Python wrote: %s', (name) =>
    torch.scope(() => {
      expect(describeValue(torch.load(fixture(name)))).toEqual(expected(name));
    }),
  );

  it.each(sound)('02 and without holding the event loop: %s', async (name) => {
    await torch.scope(async () => {
      expect(describeValue(await torch.loadAsync(fixture(name)))).toEqual(expected(name));
    });
  });

  it.each(sound)('03 and mapped into memory: %s', (name) =>
    torch.scope(() => {
      const value = torch.load(fixture(name), { mmap: true });
      expect(describeValue(value)).toEqual(expected(name));
    }),
  );

  it.each(['zip.pth', 'legacy.pth', 'zip-protocol4.pth'])(
    '04 what was shared is shared: %s',
    (name) =>
      torch.scope(() => {
        const value = torch.load<Record<string, Record<string, Tensor> & Tensor[] & unknown[][]>>(
          fixture(name),
        );
        const { base, transposed, row } = value.views!;
        expect(base!.sameStorage(transposed!)).toBe(true);
        const { version } = base!;
        torch.noGrad(() => row!.fill_(9));
        expect(base!.toArray()).toEqual([
          [0, 1, 2, 3],
          [9, 9, 9, 9],
          [8, 9, 10, 11],
        ]);
        // Each has a version of its own, as tensors that no view operator made.
        expect(base!.version).toBe(version);
        const [first, second] = value.tied!;
        expect(first).toBe(second);
        expect([first!.requiresGrad, first!.isLeaf]).toEqual([true, true]);
        const [one, two] = value.shared!;
        expect(one).toBe(two);
      }),
  );

  it('05 a mapped file stays as it is when its tensors are written', () =>
    torch.scope(() => {
      const path = file('mapped.pth');
      writeFileSync(path, readFileSync(fixture('tensor.pth')));
      const tensor = torch.load<Tensor>(path, { mmap: true });
      tensor.fill_(5);
      expect(torch.load<Tensor>(path).toArray()).toEqual([0, 1, 2]);
      torch.save(path, tensor);
      expect(torch.load<Tensor>(path).toArray()).toEqual([5, 5, 5]);
    }));

  it('06 sums that do not match are an error, unless they are not to be looked at', () =>
    torch.scope(() => {
      const path = fixture('no-sums.pth');
      expect(() => torch.load(path)).toThrow(/CRC-32 .*\{ checksums: false \}/);
      expect(() => torch.load(path)).toThrow(coded('M3L_ZIP'));
      const value = torch.load(path, { checksums: false });
      expect(describeValue(value)).toEqual(expected('no-sums.pth'));
    }));

  it.each([
    [
      'namespace.pth',
      'M3L_PICKLE',
      /asks for argparse\.Namespace.*weights_only=False.*state_dict/s,
    ],
    ['module.pth', 'M3L_PICKLE', /asks for torch\.nn\.modules\.linear\.Linear/],
    ['script.pt', 'M3L_TORCHSCRIPT', /TorchScript archive.*torch\.loadScript.*stateDict/],
    ['text.npy', 'M3L_NPY', /holds text \(U1\)/],
    ['objects.npy', 'M3L_NPY', /Python objects.*nothing of a file is executed/],
    ['fields.npy', 'M3L_NPY', /structured elements/],
  ])('07 %s is refused by name, with a mend', async (name, code, message) => {
    const path = fixture(name);
    expect(() => torch.load(path)).toThrow(message);
    expect(() => torch.load(path)).toThrow(coded(code));
    await expect(torch.loadAsync(path)).rejects.toThrow(message);
  });

  it.each([
    ['', /is empty/],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:0', /pointer of Git LFS/],
    ['\x80\x04\x95\x00\x00\x00', /pickle that torch\.save did not write/],
    ['<!DOCTYPE html>', /a web page/],
    ['hello, world, this is nothing', /of no known format/],
    ['PK\x03\x04 and no more', /no directory.*cut short/],
  ])('08 what is something else is named: %j', (text, message) => {
    writeFileSync(file('other'), Buffer.from(text, 'latin1'));
    expect(() => torch.load(file('other'))).toThrow(message);
  });

  it.each([
    'zip.pth',
    'legacy.pth',
    'deflated.pth',
    'stored.npz',
    'packed.npz',
    'fortran.npy',
    'sparse.pth',
  ])('09 cut anywhere, %s is an error and leaves no tensors', (name) => {
    const bytes = readFileSync(fixture(name));
    const before = torch.memory().tensors;
    for (let length = 0; length < bytes.length; length += 1 + (length >> 5)) {
      writeFileSync(file('cut'), bytes.subarray(0, length));
      expect(() => torch.load(file('cut')), `${length} bytes`).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^M3L_[A-Z_]+$/) }),
      );
    }
    expect(torch.memory().tensors).toBe(before);
  });

  it('10 safetensors too, whatever the name', async () => {
    await torch.scope(async () => {
      torch.saveSafetensors(file('weights.pth'), { w: torch.ones([2]), n: torch.zeros([0]) });
      for (const options of [{}, { mmap: true }]) {
        const { w, n } = torch.load<Record<string, Tensor>>(file('weights.pth'), options);
        expect([w!.toArray(), n!.shape]).toEqual([[1, 1], [0]]);
      }
      const { w } = await torch.loadAsync<Record<string, Tensor>>(file('weights.pth'));
      expect(w!.toArray()).toEqual([1, 1]);
    });
  });

  it('11 nonsense has a code', async () => {
    const load = torch.load as unknown as (...args: unknown[]) => unknown;
    expect(() => load(3)).toThrow(coded('M3L_ARGUMENT'));
    expect(() => load(file('x'), { map_location: 'cpu' })).toThrow(/option 'map_location'/);
    expect(() => load(file('absent'))).toThrow(coded('M3L_READ_FAILED'));
    expect(() => load('/dev/zero')).toThrow(coded('M3L_READ_FAILED'));
    await expect(torch.loadAsync(file('absent'))).rejects.toThrow(coded('M3L_READ_FAILED'));
    await expect(torch.loadAsync('/proc')).rejects.toThrow(coded('M3L_READ_FAILED'));
  });

  it('12 the event loop turns while a large file is read', async () => {
    const path = file('large.pth');
    torch.scope(() => torch.save(path, { w: torch.zeros([12 << 20]) }));
    let turns = 0;
    let done = false;
    const turn = () => {
      turns += 1;
      if (!done) setImmediate(turn);
    };
    setImmediate(turn);
    const { w } = await torch.loadAsync<{ w: Tensor }>(path);
    done = true;
    // A piece is 1 MiB: one that read it at once would let it turn once or twice.
    expect(turns).toBeGreaterThan(12);
    expect(w.shape).toEqual([12 << 20]);
    w.dispose();
  });

  /** Pauses that a reader wants. */
  function pausesOf<T>(path: string, reader: (file: FileSource) => Reading<T>): number {
    const bytes = readFileSync(path);
    const reading = reader(new FileSource(path, bytes.length, 1 << 20));
    let pauses = 0;
    for (let step = reading.next(); !step.done; ) {
      const request = step.value as FileRequest;
      if ('pause' in request) pauses += 1;
      if ('into' in request)
        request.into.set(bytes.subarray(request.at).subarray(0, request.into.length));
      step = reading.next('into' in request ? request.into : new Uint8Array());
    }
    return pauses;
  }

  it('13 pauses within long lists of tensors', () => {
    const [pickled, listed] = [file('list.pth'), file('list.safetensors')];
    torch.scope(() => {
      const parts = torch.zeros([4000]).unbind(0);
      torch.save(pickled, [...parts]);
      const named = parts.map((part, i) => [`layers.${i}.weight`, part] as const);
      torch.saveSafetensors(listed, Object.fromEntries(named));
      torch.save(
        file('many.pth'),
        parts.map((part) => part.clone()),
      );
    });
    expect(pausesOf(listed, readHeader)).toBeGreaterThan(9);
    expect(pausesOf(file('many.pth'), readDirectory)).toBe(7);
    const readTensors = function* (source: FileSource) {
      yield* readTorchZip(source, yield* readDirectory(source), {});
    };
    expect(torch.scope(() => pausesOf(pickled, readTensors))).toBeGreaterThan(3);
  });
});
