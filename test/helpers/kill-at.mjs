// Preloaded (--import) into a child process: ends it by SIGKILL just before its Nth operation that
// changes files in a folder. M3L_KILL_IN: the folder; M3L_KILL_AT: N, counted from 1.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { resolve, sep } from 'node:path';

const folder = resolve(process.env.M3L_KILL_IN) + sep;
const last = Number(process.env.M3L_KILL_AT);
const { kill, pid } = process;
const watched = new Set();
let done = 0;

function change() {
  if (++done === last) kill.call(process, pid, 'SIGKILL');
}

const inside = (path) => typeof path === 'string' && resolve(path).startsWith(folder);

for (const name of [
  'mkdirSync',
  'renameSync',
  'rmSync',
  'unlinkSync',
  'linkSync',
  'writeFileSync',
]) {
  const original = fs[name];
  fs[name] = (path, ...rest) => {
    if (inside(path)) change();
    return original(path, ...rest);
  };
}

const { openSync, writeSync, closeSync } = fs;
fs.openSync = (path, flags, ...rest) => {
  const writes = typeof flags === 'string' && flags !== 'r' && inside(path);
  if (writes) change();
  const file = openSync(path, flags, ...rest);
  if (writes) watched.add(file);
  return file;
};
// Of many writes to a file the first: a kill before it leaves an empty file.
fs.writeSync = (file, ...rest) => {
  if (watched.delete(file)) change();
  return writeSync(file, ...rest);
};
fs.closeSync = (file) => {
  watched.delete(file);
  return closeSync(file);
};
syncBuiltinESMExports();
process.on('exit', () => fs.writeSync(2, `changes: ${done}\n`));
