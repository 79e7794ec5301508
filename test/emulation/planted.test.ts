import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const emulation = join(root, 'binding/kernels/emulation');
const folder = mkdtempSync(join(tmpdir(), 'm3l-planted-'));
const program = join(folder, 'planted');

/** What the kernels are compiled with, as CMakeLists.txt has it. */
const undefinedBehaviour = /set\(M3L_UNDEFINED\s+"([^"]+)"/.exec(
  readFileSync(join(root, 'CMakeLists.txt'), 'utf8'),
)?.[1];

beforeAll(() => {
  execFileSync('c++', [
    ...['-std=c++20', '-O1', '-Wall', '-Wextra', '-Werror', '-Wno-unknown-pragmas'],
    ...['-DM3L_EMULATED_CUDA', `-I${emulation}/include`, `-I${root}/binding`],
    `-fsanitize=${undefinedBehaviour}`,
    ...['-x', 'c++', join(root, 'test/emulation/planted.cu'), '-x', 'none'],
    ...['emulator', 'faults', 'fiber', 'guarded_memory', 'shared_memory'].map((name) =>
      join(emulation, `${name}.cpp`),
    ),
    ...['-o', program],
  ]);
  // Seven seconds of a processor, which a busy machine may not have to itself.
}, 600_000);

afterAll(() => rmSync(folder, { recursive: true }));

function found(fault: string, environment: Record<string, string> = {}): string {
  const { stdout, stderr, status } = spawnSync(program, [fault], {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
  });
  expect(status, stderr).toBe(0);
  return stdout.trim();
}

describe('the emulation of CUDA', () => {
  it.each(['forward', 'reverse', 'shuffled', 'mixed'])(
    'runs a kernel that is right, threads in the order %s',
    (order) => {
      expect(found('none', { M3L_EMULATED_ORDER: order })).toBe('right');
    },
  );

  it.each([
    ['index', /access \d+ bytes behind a buffer of 2400; thread \(\d/],
    ['index-in-front', /access \d+ bytes in front of a buffer of 2400; thread/],
    ['tail', /access \d+ bytes behind a buffer of 2400; thread .* block \(2, 0, 0\)/],
    ['short-tail', /behind a buffer of 2396 bytes was written to/],
    ['mask', /a shuffle reads lane \d+, which its mask does not name/],
    ['ended-lane', /the mask names lane \d+, which has ended/],
    ['barrier', /^wrong: block \d sums to -?nan/],
    ['diverged-barrier', /different barriers, planted\.cu:\d+ and planted\.cu:\d+/],
    ['alignment', /not aligned, at planted\.cu:\d+; thread \(0, 0, 0\)/],
    ['overflow', /overflows, at planted\.cu:\d+/],
    ['shared-index', /an index beyond its array, at planted\.cu:\d+/],
    ['shared-unwritten', /^wrong: block 0 sums to -?nan/],
    ['shared-dynamic', /access 0 bytes behind a buffer of 256/],
  ])('finds what is wrong with %s', (fault, message) => {
    expect(found(fault)).toMatch(message);
  });

  it('finds a missing barrier in the orders that show it, whatever a GPU would do', () => {
    const orders = ['forward', 'reverse', 'shuffled'].map((order) =>
      found('barrier', { M3L_EMULATED_ORDER: order }),
    );
    expect(orders.filter((result) => result !== 'right').length).toBeGreaterThanOrEqual(2);
  });

  it.each([
    ['empty-grid', /a grid of \(0, 1, 1\) blocks, expected at least 1/],
    ['grid-in-y', /a grid of \(1, 65536, 1\) blocks, .* 65535 in y and z/],
    ['block', /a block of \(1025, 1, 1\) threads, expected 1 to 1024/],
    ['shared-bytes', /49153 bytes of shared memory, expected at most 49152/],
  ])('refuses a launch beyond the limits: %s', (launch, message) => {
    expect(found(launch)).toMatch(message);
  });

  it('says which orders there are', () => {
    expect(found('none', { M3L_EMULATED_ORDER: 'backward' })).toMatch(
      /'backward', expected forward, reverse, shuffled or mixed/,
    );
  });
});
