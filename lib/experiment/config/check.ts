import { checkModality, labelRule } from '../../data/index.js';
import { checkClassWeights, maskWeights } from '../../learning/index.js';
import { classNames } from '../classes.js';
import { ConfigError, reasonOf } from '../errors.js';
import { type Complain, fitted } from './fit.js';
import { explain } from './messages.js';
import { checkRoomsLabels, roomsModalities } from './rooms.js';
import { type Config, configSchemaFor } from './schema.js';

/**
 * Checks values against the schema and against each other, and fills in every default.
 *
 * @param place where a key was written (`file:line`, an override), for messages
 * @throws ConfigError M3L_CONFIG_UNKNOWN_KEY, M3L_CONFIG_VALUE
 */
export function check(
  raw: unknown,
  place: (path: readonly PropertyKey[]) => string,
): Omit<Config, 'name'> & { name?: string | undefined } {
  const schema = configSchemaFor(raw);
  const result = schema.safeParse(raw);
  if (!result.success) throw explain(result.error, schema, raw, place);
  const config = result.data;
  const complain: Complain = (key, message) => {
    throw new ConfigError('M3L_CONFIG_VALUE', `${place(key.split('.'))}: ${key}: ${message}`);
  };

  const { data, framework } = config;
  if (data.rooms !== undefined) {
    data.modalities = roomsModalities(data, complain);
  } else {
    for (const key of ['root', 'lists', 'classes'] as const) {
      if (data[key] === undefined) complain(`data.${key}`, "is missing (or give 'data.rooms').");
    }
    checkFiles(data.files, Object.keys(data.modalities), complain);
  }
  checkPalette(data, complain);

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
  const names = classNames(config);
  allows('data.labels', () => {
    const rule = labelRule({
      numClasses: names.length,
      labelOffset,
      labels,
      classNames: names,
    });
    if (data.rooms !== undefined) checkRoomsLabels(rule);
  });
  const { classWeights } = framework;
  if (Array.isArray(classWeights)) {
    allows('framework.classWeights', () => checkClassWeights(classWeights, names.length));
  }
  const { confidenceSchedule } = framework;
  if (confidenceSchedule && typeof framework.confidenceThreshold !== 'number') {
    complain(
      'framework.confidenceSchedule',
      `moves a threshold that is a number, and framework.confidenceThreshold is ${framework.confidenceThreshold ?? 'not given'}: give it one, 0.9 say.`,
    );
  }
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
    const template = Object.hasOwn(files, name) ? files[name] : undefined;
    if (template === undefined) {
      complain('data.files', `has no '${name}': expected ${[...modalities, 'label'].join(', ')}.`);
    } else if (!template.includes('{name}')) {
      complain(`data.files.${name}`, `found '${template}', expected a path with {name} in it.`);
    }
  }
}

function checkPalette(data: Config['data'], complain: Complain): void {
  const expected = classNames({ data }).length;
  if (data.palette === undefined || data.palette.length === expected) return;
  complain(
    'data.palette',
    `found ${data.palette.length} colours for ${expected} classes: one for each.`,
  );
}
