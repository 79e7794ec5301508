import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, isAbsolute, resolve } from 'node:path';
import { type Document, isMap, isScalar, LineCounter, parse, parseDocument, stringify } from 'yaml';
import { checkModality, labelRule, STANFORD_CLASSES } from '../../data/index.js';
import { maskWeights } from '../../learning/index.js';
import { ConfigError, reasonOf, systemCode } from '../errors.js';
import { type Complain, fitted } from './fit.js';
import { explain } from './messages.js';
import { type Config, configSchemaFor } from './schema.js';

export type { ListConfig, RoomsConfig } from './data-schema.js';
export type { Config } from './schema.js';

/** What the procedural rooms give: colour, and depth with holes of value 0. */
const ROOMS_MODALITIES = {
  rgb: { kind: 'rgb' },
  depth: { kind: 'depth', invalid: 0 },
} as const;

/**
 * Reads a YAML configuration, applies `key.path=value` overrides and checks it.
 *
 * `${NAME}` and `${NAME:-default}` in any text stand for environment variables. Relative data
 * paths are relative to the configuration file; overriding ones to the current folder.
 *
 * @throws ConfigError M3L_CONFIG_MISSING, M3L_CONFIG_SYNTAX, M3L_CONFIG_SET,
 *   M3L_CONFIG_ENVIRONMENT, M3L_CONFIG_UNKNOWN_KEY, M3L_CONFIG_VALUE
 */
export function resolveConfig(file: string, sets: readonly string[] = []): Config {
  const source = readSource(file);
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines });
  const problem = document.errors[0];
  if (problem !== undefined) {
    throw new ConfigError('M3L_CONFIG_SYNTAX', `${file} is not valid YAML: ${problem.message}`);
  }
  const raw: unknown = document.toJS() ?? {};
  if (!isRecord(raw)) {
    throw new ConfigError(
      'M3L_CONFIG_SYNTAX',
      `${file} holds ${Array.isArray(raw) ? 'a list' : `'${String(raw)}'`}, expected keys and values such as 'framework: m3l'.`,
    );
  }
  for (const set of sets) applySet(raw, set);
  const expanded = expandEnvironment(raw, file);
  const overridden = sets.map((set) => set.split('=', 1)[0]!);
  const locate = (path: readonly PropertyKey[]) =>
    overridden.includes(path.join('.')) ? null : lineOf(document, lines, path);
  const config = check(expanded, file, locate);
  return resolvePaths({ name: nameOf(file), ...config }, dirname(resolve(file)));
}

/** Checks a configuration that does not come from a file: tests, scripts, run folders. */
export function checkConfig(raw: unknown, origin = 'the configuration'): Config {
  const config = check(raw, origin, () => null);
  return resolvePaths({ name: 'run', ...config }, process.cwd());
}

/** The configuration as YAML that `resolveConfig` reads back to the same. */
export function configToYaml(config: Config): string {
  return stringify(config, { lineWidth: 100 });
}

function check(
  raw: unknown,
  origin: string,
  locate: (path: readonly PropertyKey[]) => number | null,
): Omit<Config, 'name'> & { name?: string | undefined } {
  const schema = configSchemaFor(raw);
  const result = schema.safeParse(raw);
  if (!result.success) throw explain(result.error, schema, raw, origin, locate);
  const config = result.data;
  const complain: Complain = (key, message) => {
    const line = locate(key.split('.'));
    throw new ConfigError(
      'M3L_CONFIG_VALUE',
      `${origin}${line === null ? '' : `:${line}`}: ${key}: ${message}`,
    );
  };

  const { data, framework } = config;
  if (data.rooms !== undefined) {
    for (const key of ['root', 'lists', 'files', 'classes'] as const) {
      if (data[key] !== undefined) {
        complain(`data.${key}`, "has no meaning beside 'data.rooms'; remove one of the two.");
      }
    }
    const other = Object.entries(data.modalities).find(
      ([name, { kind }]) => ROOMS_MODALITIES[name as keyof typeof ROOMS_MODALITIES]?.kind !== kind,
    );
    if (other !== undefined) {
      complain(
        'data.modalities',
        `found '${other[0]}' of kind '${other[1].kind}', but rooms have 'rgb' and 'depth'. Leave it out, or name files instead of rooms.`,
      );
    }
    const { rgb, depth } = data.modalities;
    data.modalities = {
      rgb: { ...ROOMS_MODALITIES.rgb, ...rgb },
      depth: { ...ROOMS_MODALITIES.depth, ...depth },
    };
  } else {
    for (const key of ['root', 'lists', 'classes'] as const) {
      if (data[key] === undefined) complain(`data.${key}`, "is missing (or give 'data.rooms').");
    }
    checkFiles(data.files, Object.keys(data.modalities), complain);
  }

  const allows = (key: string, resolve: () => void) => {
    try {
      resolve();
    } catch (error) {
      complain(key, reasonOf(error));
    }
  };
  for (const [name, modality] of Object.entries(data.modalities)) {
    allows(`data.modalities.${name}`, () => checkModality({ name, ...modality }));
  }
  if (data.align !== undefined && !Object.hasOwn(data.modalities, data.align)) {
    const known = Object.keys(data.modalities).map((name) => `'${name}'`);
    complain('data.align', `found '${data.align}', expected one of ${known.join(', ')}.`);
  }
  const { labels, labelOffset } = data;
  const classNames = data.classes ?? STANFORD_CLASSES.names;
  const numClasses = classNames.length;
  allows('data.labels', () => labelRule({ numClasses, labelOffset, labels, classNames }));
  const weights = framework.maskWeights;
  if (weights !== undefined) {
    allows('framework.maskWeights', () => maskWeights(weights, Object.keys(data.modalities)));
  }

  return { ...config, ...fitted(config, complain) };
}

function checkFiles(
  files: Record<string, string> | undefined,
  modalities: string[],
  complain: Complain,
): void {
  if (files === undefined) return;
  for (const name of [...modalities, 'label']) {
    const template = files[name];
    if (template === undefined) {
      complain('data.files', `has no '${name}': expected ${[...modalities, 'label'].join(', ')}.`);
    } else if (!template.includes('{name}')) {
      complain(`data.files.${name}`, `found '${template}', expected a path with {name} in it.`);
    }
  }
}

function readSource(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason =
      systemCode(error) === 'ENOENT'
        ? `${file} does not exist`
        : `${file} cannot be read: ${reasonOf(error)}`;
    throw new ConfigError('M3L_CONFIG_MISSING', `${reason}; expected a YAML configuration.`);
  }
}

/** Applies `a.b.c=value`; the value is read as YAML, so numbers and lists are themselves. */
function applySet(raw: Record<string, unknown>, set: string): void {
  const equals = set.indexOf('=');
  const path = set.slice(0, equals).trim().split('.');
  if (equals < 1 || path.some((part) => part === '')) {
    throw new ConfigError(
      'M3L_CONFIG_SET',
      `--set ${set}: expected key.path=value, for example --set framework.name=m3l`,
    );
  }
  let value: unknown;
  try {
    value = parse(set.slice(equals + 1));
  } catch (error) {
    throw new ConfigError('M3L_CONFIG_SET', `--set ${set}: ${reasonOf(error)}`);
  }
  let parent = raw;
  for (const part of path.slice(0, -1)) {
    const child = parent[part];
    // `framework: m3l` is short for `framework: { name: m3l }`.
    if (isRecord(child)) parent = child;
    else {
      const made: Record<string, unknown> = typeof child === 'string' ? { name: child } : {};
      parent[part] = made;
      parent = made;
    }
  }
  const last = path.at(-1)!;
  const relative = last === 'root' && typeof value === 'string' && !value.includes('${');
  parent[last] = relative ? resolve(value as string) : value;
}

function expandEnvironment(value: unknown, file: string): unknown {
  if (typeof value === 'string') {
    return value.replace(
      /\$\{(\w+)(?::-([^}]*))?\}/g,
      (whole, variable: string, fallback?: string) => {
        const set = process.env[variable];
        // A path in the environment is relative to where the command runs.
        if (set) return /^\.\.?(\/|$)/.test(set) ? resolve(set) : set;
        if (fallback !== undefined) return fallback;
        throw new ConfigError(
          'M3L_CONFIG_ENVIRONMENT',
          `${file}: ${whole} names the environment variable ${variable}, which is not set. Set it, or write \${${variable}:-default}.`,
        );
      },
    );
  }
  if (Array.isArray(value)) return value.map((entry) => expandEnvironment(entry, file));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, expandEnvironment(entry, file)]),
  );
}

function resolvePaths(config: Config, folder: string): Config {
  const absolute = (path: string) => (isAbsolute(path) ? path : resolve(folder, path));
  if (config.data.root !== undefined) {
    config.data.root = absolute(config.data.root);
    if (!existsSync(config.data.root)) {
      throw new ConfigError(
        'M3L_CONFIG_DATA_ROOT',
        `data.root: ${config.data.root} does not exist. Put the data there, or give its folder with --set data.root=FOLDER`,
      );
    }
  }
  if (config.model.pretrained !== undefined) {
    config.model.pretrained = absolute(config.model.pretrained);
  }
  return config;
}

function nameOf(file: string): string {
  return basename(file, extname(file)).replaceAll(/[^\w.-]/g, '-');
}

/** Line (from 1) of a key in the document, or null where overrides or defaults made it. */
function lineOf(
  document: Document,
  lines: LineCounter,
  path: readonly PropertyKey[],
): number | null {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (!isMap(parent)) return null;
  const pair = parent.items.find(({ key }) => isScalar(key) && key.value === path.at(-1));
  const start = isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
  return start === undefined ? null : lines.linePos(start).line;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
