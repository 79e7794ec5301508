import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import {
  CHECKPOINTS,
  deviceOrAuto,
  number,
  oneOf,
  positiveNumber,
  wholeNumber,
} from '../arguments.js';
import { examples } from '../command-line.js';
import { listenForInterruption } from '../interruption.js';
import { EXIT, printJson, printNote, printResult, UsageError } from '../output.js';

interface Options {
  host: string;
  port: number;
  allowHost: string[];
  cors: string[];
  keyFile?: string;
  batch: number;
  window: number;
  queue: number;
  maxMegabytes: number;
  maxPixels: number;
  maxItems: number;
  timeout: number;
  hang?: number;
  grace: number;
  restarts: number;
  checkpoint: (typeof CHECKPOINTS)[number];
  device?: string;
  set: string[];
  json: boolean;
}

export function addServe(program: Command): void {
  program
    .command('serve')
    .description('answer predictions over HTTP, from whichever modalities a request holds')
    .argument('<run>', 'run folder')
    .option('--host <address>', 'where to listen; 0.0.0.0: everywhere', '127.0.0.1')
    .option('--port <n>', '0: any that is free', wholeNumber({ least: 0, most: 65535 }), 8080)
    .option('--allow-host <name...>', 'further names that the Host of a request may have', [])
    .option('--cors <origin...>', 'origins whose pages may ask, as https://example.org', [])
    .option('--key-file <file>', 'file of keys, a line each, of which a request must have one')
    .option('--batch <n>', 'scenes that go to the model together', wholeNumber({ most: 1024 }), 8)
    .option('--window <ms>', 'how long a scene waits for others', number(60_000), 2)
    .option('--queue <n>', 'scenes that may wait', wholeNumber({ most: 65_536 }), 64)
    .option('--max-megabytes <n>', 'of a request', wholeNumber({ most: 2047 }), 32)
    .option('--max-pixels <n>', 'of an image', wholeNumber({ most: 2 ** 28 }), 2 ** 22)
    .option(
      '--max-items <n>',
      'scenes of a batch that is one request',
      wholeNumber({ most: 65_536 }),
      32,
    )
    .option(
      '--timeout <seconds>',
      'for a request to arrive, and to be answered',
      positiveNumber(86_400),
      30,
    )
    .option(
      '--hang <seconds>',
      'for one image or one pass of the model, before it is taken to hang and started anew (default: 120, or 4 × --timeout)',
      positiveNumber(86_400),
    )
    .option('--grace <seconds>', 'for what is under way when it ends', number(86_400), 10)
    .option(
      '--restarts <n>',
      'how often within 10 minutes a model that died or hung is started anew, before the server ends',
      wholeNumber({ least: 0, most: 1000 }),
      5,
    )
    .option('--checkpoint <which>', CHECKPOINTS.join(' or '), oneOf(CHECKPOINTS), 'latest')
    .option('--device <device>', 'auto, cpu, cuda or cuda:N (default: as trained)', deviceOrAuto)
    .option('--set <key=value...>', 'override keys of the configuration', [])
    .option('--json', 'print where it listens as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l serve RUN',
        'curl -F rgb=@a.png -F depth=@a-depth.png localhost:8080/predict -o classes.png',
        'curl -F depth=@a-depth.png "localhost:8080/predict?output=overlay" -o dark.png',
        'm3l serve RUN --host 0.0.0.0 --key-file keys.txt',
      ),
    )
    .action(async (folder: string, options: Options) => {
      const keys = options.keyFile === undefined ? [] : keysOf(options.keyFile);
      const { serve } = await import('../../serve/index.js');
      const server = await serve(folder, {
        ...{ host: options.host, port: options.port, hosts: options.allowHost, keys },
        ...{ cors: options.cors.map(originOf), checkpoint: options.checkpoint, sets: options.set },
        ...(options.device !== undefined && { device: options.device }),
        ...{ maxBatch: options.batch, window: options.window, maxQueue: options.queue },
        ...{ maxBytes: options.maxMegabytes << 20, maxPixels: options.maxPixels },
        ...{ maxItems: options.maxItems, graceSeconds: options.grace, restarts: options.restarts },
        ...{ uploadSeconds: options.timeout, answerSeconds: options.timeout },
        ...(options.hang !== undefined && { hangSeconds: options.hang }),
        log: printNote,
      });
      if (options.json) printJson({ url: server.url });
      else printResult(`listening on ${server.url}`);
      if (!/^(127\.|localhost$|::1$)/.test(options.host) && keys.length === 0) {
        printNote('Everybody who reaches this machine may ask: --key-file asks for a key.');
      }
      const { signal, stop } = listenForInterruption({
        note: '\nAnswering what is under way; once more to stop at once.',
      });
      const interrupted = new Promise<null>((resolve) => {
        signal.addEventListener('abort', () => resolve(null));
        if (signal.aborted) resolve(null);
      });
      const failed = await Promise.race([server.failed, interrupted]);
      const answered = await server.close();
      stop();
      if (failed !== null) throw failed;
      if (answered) return;
      printNote(`Cut off what was not answered after ${options.grace} seconds (--grace).`);
      process.exitCode = EXIT.failure;
    });
}

function keysOf(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--key-file ${file} cannot be read: ${(error as Error).message}`);
  }
  const keys = text.split(/\s+/).filter((key) => key !== '');
  const short = keys.find((key) => key.length < 16);
  if (keys.length > 0 && short === undefined) return keys;
  throw new UsageError(
    keys.length === 0
      ? `--key-file ${file} holds no key, expected one a line.`
      : `--key-file ${file}: found a key of ${short!.length} characters, expected at least 16: openssl rand -hex 16`,
  );
}

function originOf(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : 'null';
  if (origin !== 'null' && origin === text.replace(/\/$/, '')) return origin;
  throw new UsageError(`--cors: found '${text}', expected an origin such as https://example.org`);
}
