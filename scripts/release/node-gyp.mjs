#!/usr/bin/env node
// What prebuildify calls as its node-gyp: cmake-js with the arguments in M3L_CMAKE_JS (a JSON list).
// prebuildify's own are node-gyp's, and --target would name a CMake target.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const LINES_SHOWN = 60;
const cmakeJs = fileURLToPath(new URL('../../node_modules/cmake-js/bin/cmake-js', import.meta.url));
const args = JSON.parse(process.env.M3L_CMAKE_JS ?? 'null');
if (!Array.isArray(args)) {
  console.error('scripts/release/node-gyp.mjs is called by prebuildify: run npm run build:addon');
  process.exit(2);
}
const { status, stdout, stderr } = spawnSync(process.execPath, [cmakeJs, 'build', ...args], {
  encoding: 'utf8',
  maxBuffer: 1 << 28,
});
if (status !== 0) {
  console.error(`${stdout}${stderr}`.trim().split('\n').slice(-LINES_SHOWN).join('\n'));
}
process.exit(status ?? 1);
