import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { torch } from 'm3l';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import 'm3l/vitest';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let before = 0;

beforeAll(() => {
  before = liveTensors();
});

/** Files whose tests compute; in the others libtorch may never be loaded. */
const COMPUTES = /\/test\/(torch|nn|optim|kernels|models|inference|learning|evaluation)\//;

// The same draws in every run: a bound must hold for the numbers that it was seen to hold for.
beforeEach(() => {
  if (COMPUTES.test(expect.getState().testPath ?? '')) torch.manualSeed(0);
});

// Every file must leave as many live tensors as it found: a test wraps its work in torch.scope.
afterAll(async () => {
  for (let i = 0; i < 5 && liveTensors() > before; i++) {
    // Weak references clear after a collection, and their callbacks run in a later turn.
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
    torch.sweep();
  }
  expect(liveTensors(), 'live tensors after the file').toBeLessThanOrEqual(before);
});

function liveTensors(): number {
  return torch.loaded() ? torch.memory().tensors : 0;
}
