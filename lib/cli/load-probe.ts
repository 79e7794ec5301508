/**
 * Loads all that is native and computes, step by step. As a program of its own (`m3l doctor` starts it,
 * since a damaged file can kill the process) it prints a line of JSON a step, then the outcome.
 */
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { native } from '../data/native.js';
import * as torch from '../torch/index.js';
import { libtorch, passedOver } from '../torch/native.js';

/** What loaded. */
export interface Loaded {
  readonly version: string | null;
  readonly folder: string;
  readonly sum: number;
  readonly cuda: boolean;
  readonly milliseconds: number;
  /** Libtorchs and kernels that were tried before those that did. */
  readonly passedOver: readonly string[];
}

/** Why it did not load: an error of this package in the words that the import throws, or another's. */
export interface LoadFailure {
  readonly code: string | null;
  readonly message: string;
  readonly refusals: readonly string[];
  readonly mend: string | null;
}

export type Outcome = { loaded: Loaded } | { failure: LoadFailure };

/** Tells `step` what it is about to do. */
export function load(step: (doing: string) => void): Outcome {
  const started = performance.now();
  try {
    step('opening the image addon');
    native();
    step('opening libtorch, the core and the kernels');
    const { version, folder } = libtorch();
    step('computing');
    const sum = torch.scope(() => torch.ones([2, 3]).sum().item()) as number;
    const milliseconds = Math.round(performance.now() - started);
    const cuda = torch.cuda.isAvailable();
    return { loaded: { version, folder, sum, cuda, milliseconds, passedOver: passedOver() } };
  } catch (error) {
    const { code, message, refusals, mend } = error as Partial<LoadFailure>;
    const [first = String(error)] = (message ?? '').split('\n');
    return {
      failure: {
        ...{ code: code ?? null, message: first.replace(/ Tried:$/, '') },
        ...{ refusals: refusals ?? [], mend: mend ?? null },
      },
    };
  }
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const print = (line: object) => console.log(JSON.stringify(line));
  print(load((doing) => print({ doing })));
}
