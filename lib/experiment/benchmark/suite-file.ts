import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import { type Config, resolveConfig } from '../config/config.js';
import { ConfigError, reasonOf } from '../errors.js';

/** The suites of the package. */
const OWN = fileURLToPath(new URL('../../../configs/benchmarks/', import.meta.url));

/** Percent, as papers print it. */
const percent = z.number().min(0).max(100);

const suiteSchema = z.strictObject({
  /** How many seeds (1, 2, …), or which. */
  seeds: z.union([z.int().min(1).max(100), z.array(z.int().nonnegative()).min(1)]).default(1),
  experiments: z
    .record(
      z.string().regex(/^[\w.-]+$/, 'a name of letters, digits, dots, dashes'),
      z.strictObject({
        title: z.string().optional(),
        config: z.string(),
        set: z.array(z.string()).default([]),
        published: z
          .strictObject({ all: percent.optional(), robust: percent.optional() })
          .optional(),
      }),
    )
    .refine((all) => Object.keys(all).length > 0, 'at least one experiment'),
});

/** One training of a suite. */
export interface BenchmarkJob {
  experiment: string;
  title: string;
  seed: number;
  /** Its configuration's file, and what of that is overridden. */
  file: string;
  sets: string[];
  config: Config;
}

/** What was published of an experiment, in percent. */
export interface Published {
  all?: number | undefined;
  robust?: number | undefined;
}

/** Experiments with their configurations, ready to run. */
export interface Suite {
  name: string;
  file: string;
  seeds: number[];
  experiments: { name: string; title: string; published: Published; jobs: BenchmarkJob[] }[];
}

/**
 * Reads a suite and every configuration of it, each seed's.
 *
 * @param name a YAML file, or the name of one of the package
 * @throws ConfigError M3L_BENCHMARK_SUITE; errors of the configurations
 */
export function readSuite(
  name: string,
  options: { seeds?: readonly number[]; only?: readonly string[]; sets?: readonly string[] } = {},
): Suite {
  checkArguments('readSuite', { name, options }, { name: is.text, options: is.record });
  const { seeds, only, sets = [] } = options;
  const file = findSuite(name);
  const read = parsed(file);
  const chosen = typeof read.seeds === 'number' ? counted(read.seeds) : read.seeds;
  const all = seeds === undefined || seeds.length === 0 ? chosen : [...seeds];
  const names = Object.keys(read.experiments);
  const unknown = only?.find((each) => !names.includes(each));
  if (unknown !== undefined) {
    throw suiteError(file, `has no experiment '${unknown}', expected some of ${names.join(', ')}`);
  }
  const wanted = names.filter((each) => only === undefined || only.includes(each));
  const experiments = wanted.map((experiment) => {
    const { title = experiment, config, set, published = {} } = read.experiments[experiment]!;
    const path = resolve(dirname(file), config);
    const jobs = all.map((seed): BenchmarkJob => {
      const own = [...set, ...sets, `seed=${seed}`];
      return { experiment, title, seed, file: path, sets: own, config: resolveConfig(path, own) };
    });
    return { name: experiment, title, published, jobs };
  });
  return { name: basename(file, extname(file)), file, seeds: all, experiments };
}

const counted = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

function findSuite(name: string): string {
  if (existsSync(name)) return resolve(name);
  const own = `${OWN}${name}.yaml`;
  if (existsSync(own)) return own;
  throw new ConfigError(
    'M3L_BENCHMARK_SUITE',
    `${name} does not exist, and no suite of the package is named so (paper is one). Give a YAML file.`,
  );
}

function parsed(file: string): z.output<typeof suiteSchema> {
  let value: unknown;
  try {
    value = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw suiteError(file, `cannot be read: ${reasonOf(error)}`);
  }
  const result = suiteSchema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw suiteError(file, `${issue!.path.join('.') || 'the suite'}: ${issue!.message}`);
}

function suiteError(file: string, problem: string): ConfigError {
  return new ConfigError('M3L_BENCHMARK_SUITE', `${file} ${problem}.`);
}
