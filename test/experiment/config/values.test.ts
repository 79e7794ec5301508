import { join } from 'node:path';
import { configToYaml, RunFolder, resolveConfig } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { completed } from '../../../dist/experiment/config/follow-data.js';
import { configFolder, ROOMS } from './files.js';

const folder = configFolder();

const FILES = (rest: string) => `
data:
  root: .
  classes: 2
  lists: { labelled: a.txt, unlabelled: b.txt, val: c.txt }
  ${rest}
`;

describe('values of a configuration', () => {
  it.each([
    [
      'data.classes=20000000',
      'data.classes: found 20000000, expected class names, or how many there are, 2 to 255',
    ],
    ['data.classes=100000000', 'expected class names, or how many'],
    ['data.classes=256', 'expected class names, or how many'],
    ['data.classes=1', 'data.classes: found'],
    ['data.classes=2.5', 'expected class names, or how many'],
    ['data.crop=65537', 'expected at most 65536'],
    ['data.crop=[32, 0]', 'data.crop.1: found 0, expected more than 0'],
    ['data.crop=.nan', 'data.crop.0: found NaN, expected'],
    ['data.scales=[.inf]', 'data.scales.0: found Infinity, expected'],
    ['data.scales=[1.0e-9]', 'expected at least 0.01'],
    ['data.labelOffset=1.0e+12', 'expected at most 65535'],
    ['seed=9007199254740992', 'seed: found 9007199254740992'],
    ['seed=-1', 'expected at least 0'],
    ['iterations=1.0e+15', 'expected at most 1000000000'],
    ['optimiser.encoderLr=.nan', 'optimiser.encoderLr: found NaN'],
    ['optimiser.weightDecay=1.0e+300', 'expected at most 1000000'],
    ['optimiser.clipGradientNorm=0', 'expected more than 0'],
    ['framework.lambda=.inf', 'framework.lambda: found Infinity'],
    [
      'framework.confidenceThreshold=adaptve',
      "found 'adaptve': expected a number from 0 to 1, 'adaptive' or null",
    ],
    ['framework.confidenceThreshold=1.5', 'found 1.5, expected at most 1'],
    ['framework.classWeights=[1, 2, 3]', 'classWeights: found 3 of them, expected 2 numbers'],
    ['framework.classWeights=[0, 0]', 'framework.classWeights: classWeights: found [0, 0]'],
    ['framework.classWeights=inverse', "found 'inverse': expected a list of numbers"],
    ['framework.focal=-1', 'framework.focal: found -1'],
    [
      'framework.confidenceSchedule={ from: 0.5, iterations: 10 }',
      'moves a threshold that is a number, and framework.confidenceThreshold is not given: give it one',
    ],
    ['evaluate.scales=[]', 'evaluate.scales'],
    ['evaluate.window=8', 'evaluate.window: found [8, 8], expected at least'],
    ['evaluate.windowOverlap=1', 'expected at most 0.9'],
    ['batch.labelled=1000000', 'expected at most 65536'],
    ['workers=100000', 'expected at most 256'],
    ['threads=100000', 'expected at most 1024'],
    ['device=cuda:12345678901234567890', "expected 'auto', 'cpu', 'cuda' or 'cuda:N'"],
    [
      'data.palette=[red, green]',
      "data.palette.0: found 'red', expected [red, green, blue] of 0 to 255, or '#rrggbb'",
    ],
    ['data.palette=[[0, 0, 256], [0, 0, 0]]', 'data.palette.0.2: found 256, expected at most 255'],
    ["data.palette=['#000000', '#ffffff', '#888888']", 'found 3 colours for 2 classes'],
    [`name=${'x'.repeat(300)}`, 'name: found'],
  ])('01 refuses %s', (set, message) => {
    const { code, message: found } = folder.refusal(FILES(''), [set]);
    expect([code, found]).toEqual(['M3L_CONFIG_VALUE', expect.stringContaining(message)]);
  });

  it('02 needs no data: where they are is looked at when they are opened', () => {
    expect(resolveConfig(folder.write(FILES('')), ['data.root=/absent']).data.root).toBe('/absent');
  });
});

/** How a variable is written: apart from the texts, which are no templates. */
const variable = (text: string) => `\${${text}}`;

describe('the environment', () => {
  const [A, B] = ['M3L_TEST_A', 'M3L_TEST_B'];

  it('03 is put in once, and survives being stored', () => {
    process.env[A] = `a${variable(B)}`;
    process.env[B] = 'b';
    try {
      const patterns = { rgb: variable(A), depth: `$${variable('X')}`, label: '$&' };
      const files = Object.entries(patterns).map(([name, text]) => `${name}: "${text}{name}"`);
      const config = folder.read(FILES(`files: { ${files.join(', ')} }`));
      expect(config.data.files).toEqual({
        rgb: `a${variable(B)}{name}`,
        depth: `${variable('X')}{name}`,
        label: '$&{name}',
      });
      const run = RunFolder.create(config, join(folder.path(), 'run'));
      run.begin(config);
      delete process.env[B];
      expect(run.config()).toEqual(completed(config));
      const set = run.config([`data.files.depth=${variable(A)}{name}`]);
      expect(set.data.files?.depth).toBe(`a${variable(B)}{name}`);
    } finally {
      delete process.env[A];
      delete process.env[B];
    }
  });

  const odd = ['$', '$$', '}$', "$'", '$&', '#"', ...['', '$', '$$'].map((d) => `${d}$\{`)];
  it.each([...odd, ...['X', 'X:-y', 'not a name'].map(variable)])(
    "04 a text '%s' is stored as it is",
    (text) => {
      const names = 'files: { rgb: "{name}", depth: "{name}", label: "{name}" }';
      const config = folder.read(FILES(names));
      config.data.files!.rgb = `${text}{name}`;
      config.data.root = `/x${text}`;
      expect(resolveConfig(folder.write(configToYaml(config)))).toEqual(config);
    },
  );

  it('05 says how to write a dollar where a variable is missing', () => {
    const { code, message } = folder.refusal(`${ROOMS}name: "${variable('M3L_TEST_NONE')}"\n`);
    expect(code).toBe('M3L_CONFIG_ENVIRONMENT');
    expect(message).toContain(`${variable('M3L_TEST_NONE:-default')}; $\${ stands for \${ itself`);
  });
});
