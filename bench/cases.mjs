// The cases of bench/cases.
import { readdirSync } from 'node:fs';

const FOLDER = new URL('cases/', import.meta.url);

export async function loadCases() {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.mjs'));
  const modules = await Promise.all(files.sort().map((name) => import(new URL(name, FOLDER).href)));
  return modules.flatMap((module) => module.default);
}
