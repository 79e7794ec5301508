import type { Command } from 'commander';
import { M3lError } from '../../torch/errors.js';
import { findLibtorch } from '../../torch/libtorch.js';
import { unknownWord } from '../arguments.js';
import { printJson, printNote, printResult, UsageError } from '../output.js';

/** What scripts/libtorch.mjs gives; it is plain JavaScript so that setup can run it unbuilt. */
interface Installer {
  VERSIONS: Record<string, { torch: string }>;
  install(options: {
    variant: string;
    force: boolean;
    log: (line: string) => void;
  }): Promise<string>;
}

export function addLibtorch(program: Command): void {
  const libtorch = program
    .command('libtorch')
    .description('fetch libtorch into the cache, or say where it is');

  libtorch
    .command('install')
    .description('install the pinned libtorch (by pip, into the user’s cache)')
    .option('--variant <variant>', 'cpu or cu130', 'cpu')
    .option('--force', 'install again even if it is there', false)
    .option('--json', 'print the result as JSON', false)
    .action(
      async ({ variant, force, json }: { variant: string; force: boolean; json: boolean }) => {
        const script = new URL('../../../scripts/libtorch.mjs', import.meta.url);
        const installer = (await import(script.href)) as Installer;
        if (!Object.hasOwn(installer.VERSIONS, variant)) {
          const known = Object.keys(installer.VERSIONS);
          throw new UsageError(`--variant ${variant}: ${unknownWord(variant, known)}`);
        }
        const folder = await installer.install({ variant, force, log: printNote });
        if (json) printJson({ folder, variant, version: installer.VERSIONS[variant]?.torch });
        else printResult(folder);
      },
    );

  libtorch
    .command('path')
    .description('print the folder of the libtorch that is used')
    .option('--json', 'print the result as JSON', false)
    .action(({ json }: { json: boolean }) => {
      const tried: string[] = [];
      const found = findLibtorch(tried);
      if (found === null) {
        throw new M3lError(
          'M3L_LIBTORCH_NOT_FOUND',
          `No libtorch was found. Tried:\n${tried.map((line) => `  - ${line}`).join('\n')}\nRun: m3l libtorch install`,
        );
      }
      if (json) printJson(found);
      else printResult(found.folder);
    });
}
