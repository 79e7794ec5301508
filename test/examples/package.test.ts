import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);
let project: string;

const PROGRAM = `
import { nn, torch } from 'm3l';
import { readColour } from 'm3l/data';
const sum: torch.Tensor = torch.add(torch.ones([2]), 1, { alpha: 2 });
const values: torch.TypedArray = sum.toTypedArray();
const layer: nn.Module = new nn.Linear(2, 1);
export { layer, readColour, values };
`;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'm3l-package-'));
  const installed = join(project, 'node_modules');
  await mkdir(installed);
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', project], {
    cwd: root,
  });
  await run('tar', ['xzf', join(project, stdout.trim()), '-C', project]);
  await rename(join(project, 'package'), join(installed, 'm3l'));
  for (const name of ['zod', '@types', 'undici-types']) {
    await symlink(join(root, 'node_modules', name), join(installed, name));
  }
});
afterAll(() => rm(project, { recursive: true, force: true }));

/** What tsc says of a program in a project that has the packed package installed. */
async function compile(program: string): Promise<string> {
  const file = join(project, 'program.ts');
  await writeFile(file, program);
  const options = '--noEmit --strict --module nodenext --target es2022 --types node'.split(' ');
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  return run(process.execPath, [tsc, ...options, '--lib', 'es2023,esnext.disposable', file], {
    cwd: project,
  }).then(
    () => '',
    (error: { stdout: string }) => error.stdout,
  );
}

describe('the packed package', () => {
  it('type-checks in a strict project, its own declarations included', async () => {
    expect(await compile(PROGRAM)).toBe('');
  });

  it('loads the image library with the first image, not with models', async () => {
    const program = `await import('m3l/models');
      console.log(process.report.getReport().sharedObjects.filter((file) => /vips/.test(file)).length);`;
    const options = ['--input-type=module', '-e', program];
    expect((await run(process.execPath, options, { cwd: root })).stdout).toBe('0\n');
  });

  it('has types that refuse what is wrong', async () => {
    expect(await compile(`${PROGRAM}\nexport const wrong: string = sum;`)).toMatch(
      /Type 'Tensor' is not assignable to type 'string'/,
    );
  });
});
