import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { wholeNumber } from '../arguments.js';
import { examples } from '../command-line.js';
import { listenForInterruption } from '../interruption.js';
import { printNote, printResult, UsageError } from '../output.js';

interface Options {
  data?: string;
  port?: number;
  open: boolean;
  set: string[];
}

export function addView(program: Command, version: string): void {
  program
    .command('view')
    .description(
      'a page that shows runs while they train, and what each sensor is worth; Ctrl-C ends it',
    )
    .argument('[runs...]', 'run folders, or folders of runs (default: runs)')
    .option('--data <config>', 'look at the data of a configuration before training')
    .option(
      '--port <number>',
      'port of this machine to listen at (default: the first free from 4747)',
      wholeNumber({ most: 65_535 }),
    )
    .option('--no-open', 'print the address, and open no browser')
    .option('--set <key=value...>', 'override keys of the configuration (data, device)', [])
    .addHelpText(
      'after',
      examples('m3l view', 'm3l view runs/a runs/b --port 8080', 'm3l view --data my-robot.yaml'),
    )
    .action(async (runs: string[], { data, port, open, set: sets }: Options) => {
      if (data !== undefined && runs.length > 0) {
        throw new UsageError(
          `--data ${data} and runs (${runs.join(', ')}) exclude each other: give one of them.`,
        );
      }
      const { openView } = await import('../../view/view.js');
      const { resolveConfig } = await import('../../experiment/index.js');
      const interruption = listenForInterruption({ note: null });
      const view = await openView({
        runs: runs.length > 0 ? runs : undefined,
        data: data === undefined ? undefined : resolveConfig(data, sets),
        sets,
        port,
        version,
        onNote: printNote,
      });
      try {
        printResult(view.url);
        if (open && hasDisplay()) openBrowser(view.url);
        await new Promise<void>((resolve) => {
          if (interruption.signal.aborted) resolve();
          interruption.signal.addEventListener('abort', () => resolve(), { once: true });
        });
      } finally {
        await view.close();
        interruption.stop();
      }
    });
}

function hasDisplay(): boolean {
  return Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
}

/** Whether there is one or not: the address is printed. */
function openBrowser(url: string): void {
  const paths = (process.env.PATH ?? '').split(':');
  if (!paths.some((folder) => existsSync(`${folder}/xdg-open`))) return;
  spawn('xdg-open', [url], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref();
}
