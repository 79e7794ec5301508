// A reader with every fault that the fuzzer is to find, one after the other.
import { readFileSync, writeFileSync } from 'node:fs';

const faults = [
  () => null.length,
  () => process.kill(process.pid, 'SIGKILL'),
  () => {
    for (;;);
  },
  () => Buffer.alloc(700 << 20, 1),
];

export default {
  name: 'faulty',
  extension: 'txt',
  seeds: async () => [Buffer.from('-1')],
  make: (_seeds, _random, path, index) => writeFileSync(path, `${index}`),
  read: async (path) => {
    try {
      faults[Number(readFileSync(path, 'utf8'))]?.();
      return [];
    } catch (error) {
      return [error];
    }
  },
};
