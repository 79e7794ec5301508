import { basename, extname, resolve } from 'node:path';
import { stringify } from 'yaml';
import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import { configShape } from '../rules.js';
import { check } from './check.js';
import { escapeEnvironment } from './environment.js';
import { type Layer, readLayer } from './layer.js';
import { configFile } from './packaged.js';
import { resolvePaths } from './paths.js';
import { pathKey } from './read.js';
import { type Config, layoutSchema } from './schema.js';
import { applySet } from './set.js';
import { expandShortForms, isRecord } from './shape.js';

export type { ListConfig, RoomsConfig } from './data-schema.js';
export type { Config, SettledConfig } from './schema.js';

/**
 * Reads a YAML configuration and the files that it extends, applies `key.path=value` overrides and
 * checks it. Nothing but the files is looked at: whether the data is there shows when it is opened.
 * A name that is no file stands for the package's configuration of that name: `rooms-demo`.
 *
 * `${NAME}` and `${NAME:-default}` in any text stand for environment variables, `$${` for `${`.
 * Relative paths are relative to the file that they stand in; overriding ones to the current folder.
 *
 * @throws ConfigError M3L_CONFIG_MISSING, M3L_CONFIG_SYNTAX, M3L_CONFIG_EXTENDS, M3L_CONFIG_SET,
 *   M3L_CONFIG_ENVIRONMENT, M3L_CONFIG_UNKNOWN_KEY, M3L_CONFIG_VALUE
 */
export function resolveConfig(name: string, sets: readonly string[] = []): Config {
  checkArguments('resolveConfig', { name, sets }, { name: is.text, sets: is.listOf(is.text) });

  const file = configFile(name);
  const layer = readLayer(file);
  for (const set of sets) applySet(layer, set);
  return { name: nameOf(file), ...check(layer.values, placeIn(layer, file)) };
}

/** The keys of `framework` that a configuration and overrides give, unchecked. Throws as they do. */
export function frameworkKeys(name: string, sets: readonly string[] = []): string[] {
  const layer = readLayer(configFile(name));
  for (const set of sets) applySet(layer, set);
  const { framework } = layer.values;
  return isRecord(framework) ? Object.keys(framework) : [];
}

/** What keys stood for, before they were there, in the files that runs store. */
const BEFORE = {
  model: { ensemble: 'all' },
  framework: {
    lambdaFollowsTeacher: false,
    distributionAlignment: 0,
    cutMix: 0,
    colourJitter: 0,
    alphaRate: 1,
    absentHeadsLearn: true,
  },
} as const;

/**
 * As `resolveConfig`, of the file that a run stored, which holds every default. What had no key yet
 * when it was written is what it was then.
 */
export function resolveStored(file: string, sets: readonly string[] = []): Config {
  const { model, framework } = readLayer(file).values;
  const earlier = (part: 'model' | 'framework', given: unknown) =>
    Object.entries(BEFORE[part]).flatMap(([key, value]) =>
      isRecord(given) && !(key in given) ? [`${part}.${key}=${value}`] : [],
    );
  const fused = isRecord(model) && model.name === 'linear-fusion';
  const before = [...(fused ? earlier('model', model) : []), ...earlier('framework', framework)];
  return resolveConfig(file, [...before, ...sets]);
}

/** Checks a configuration that does not come from a file: tests, scripts. */
export function checkConfig(raw: unknown, origin = 'the configuration'): Config {
  checkArguments('checkConfig', { origin }, { origin: is.text });

  const values = resolvePaths(expandShortForms(raw, layoutSchema), layoutSchema, process.cwd());
  return { name: 'run', ...check(values, () => origin) };
}

/** The configuration as YAML that `resolveConfig` reads back to the same. */
export function configToYaml(config: Config): string {
  checkArguments('configToYaml', { config }, { config: configShape });

  return stringify(escapeEnvironment(config), { lineWidth: 100, aliasDuplicateObjects: false });
}

/** Where the key was written, or else the nearest key above it. */
function placeIn({ places }: Layer, file: string): (path: readonly PropertyKey[]) => string {
  return (path) => {
    for (let length = path.length; length > 0; length--) {
      const place = places.get(pathKey(path.slice(0, length)));
      if (place !== undefined) return place;
    }
    return file;
  };
}

function nameOf(file: string): string {
  return basename(resolve(file), extname(file)).replaceAll(/[^\w.-]/g, '-');
}
