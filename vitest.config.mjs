import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const dist = fileURLToPath(new URL('./dist/', import.meta.url));

// Tests import the built package by its public name, as a user does.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^m3l$/, replacement: `${dist}index.js` },
      { find: /^m3l\/(.+)$/, replacement: `${dist}$1/index.js` },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/helpers/setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // The second of old is not enough where two files run at a time on a busy machine.
    expect: { poll: { timeout: 60_000 } },
    server: { deps: { external: [/\/dist\//] } },
  },
});
