import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { interfaceVersion, versionFault } from '../../dist/torch/interface-version.js';
import { temporaryFolder } from '../data/fixtures.js';

const root = resolve(import.meta.dirname, '../..');
const folder = temporaryFolder();
const NEWER = interfaceVersion + 1;

/** This package, of which lib/ needs another version than its native files have. */
function newerCopy(): string {
  const copy = join(folder, 'newer');
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(copy, 'package.json'));
  symlinkSync(join(root, 'build'), join(copy, 'build'));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  const file = join(copy, 'dist/torch/interface-version.js');
  const text = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    text.replace(`interfaceVersion = ${interfaceVersion}`, `interfaceVersion = ${NEWER}`),
  );
  return pathToFileURL(join(copy, 'dist/')).href;
}

describe('the version of the native interface', () => {
  it('01 is one number in C++ and in TypeScript', () => {
    const header = readFileSync(join(root, 'binding/interface-version.h'), 'utf8');
    expect(/kInterfaceVersion = (\d+);/.exec(header)?.[1]).toBe(String(interfaceVersion));
    expect(versionFault(interfaceVersion)).toBeNull();
    expect(versionFault(undefined)).toMatch(
      /interface is none, this m3l needs version \d+: install/,
    );
  });

  it('02 passes files of another over, in a sentence with both', () => {
    const program = `
      const dist = ${JSON.stringify(newerCopy())};
      const { torch } = await import(dist + 'index.js');
      const { native } = await import(dist + 'data/native.js');
      for (const open of [() => torch.memory(), native]) {
        try { open(); } catch (error) { console.log(error.code, error.message); }
      }`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      encoding: 'utf8',
    });
    const said = `node: its native interface is version ${interfaceVersion}, this m3l needs version ${NEWER}`;
    expect(stdout.split('M3L_ADDON_NOT_FOUND').length - 1).toBe(2);
    expect(stdout).toContain(`m3l_loader.${said}`);
    expect(stdout).toContain(`m3l_image.${said}`);
  });
});
