// Label rules: what configurations say of labels, applied to label files of every kind.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { classOf, labelRule, suggestLabelMap } from '../../dist/data/index.js';
import { configToYaml, resolveConfig } from '../../dist/experiment/index.js';
import { mutate } from './mutate.mjs';
import { attempts, readLabel } from './readers.mjs';

const config = (labels) => `data:
  root: .
  classes: [ground, road, sky]
  lists: { labelled: train.txt, val: val.txt }
${labels}
framework: supervised
`;

const RULES = [
  "  labels: { map: { 255: 1, 4: road, '7': void }, void: [0, 9] }",
  "  labels: { map: { '#ff0000': road, '0, 0, 255': sky, '12,34,56': 0 }, void: others }",
  '  labelOffset: 1\n  labels:\n    map:\n      12: 2\n      -3: 0\n    void: [65535, 2147483647]',
  "  labels: { void: ['#ffffff', '#000000'] }",
];

/** Grey of 8 and 16 bits, colours, a palette, floats. */
async function files() {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-fuzz-labels-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const values = Uint8Array.from({ length: 12 * 9 * 3 }, (_, i) => (i >> 4) % 5);
  const rgb = sharp(values, { raw: { width: 12, height: 9, channels: 3 } });
  const grey = rgb.clone().extractChannel(0).toColourspace('b-w');
  const made = {
    'grey.png': grey.clone().png(),
    'deep.png': grey.clone().toColourspace('grey16').png(),
    'rgb.png': rgb.clone().png(),
    'palette.png': rgb.clone().png({ palette: true }),
    'float.tif': grey.clone().toColourspace('b-w').raw({ depth: 'float' }).tiff(),
  };
  for (const [name, picture] of Object.entries(made)) await picture.toFile(join(folder, name));
  return Object.keys(made).map((name) => join(folder, name));
}

let paths;

export default [
  {
    name: 'labels',
    extension: 'yaml',
    seeds: async () => {
      paths = await files();
      return RULES.map((rule) => Buffer.from(config(rule)));
    },
    make: (_seeds, random, path) => {
      const rules = RULES.map((rule) => Buffer.from(rule));
      writeFileSync(path, config(mutate(rules, random, true).toString()));
    },
    read: async (path) => {
      let rule;
      const errors = await attempts(() => {
        const read = resolveConfig(path);
        writeFileSync(path, configToYaml(read));
        const { classes, labels, labelOffset } = resolveConfig(path).data;
        rule = labelRule({ numClasses: classes.length, classNames: classes, labels, labelOffset });
        for (const raw of [-1, 0, 1, 255, 65_535, 2 ** 31, 0xffffff]) {
          const found = classOf(raw, rule);
          if (!(found < rule.numClasses || found === 255 || found === 256))
            throw new Error(`class ${found} of ${raw}`);
          suggestLabelMap([raw, 0, 7], rule.numClasses, rule.colours);
        }
      });
      if (rule === undefined) return errors;
      return [...errors, ...(await attempts(...paths.map((each) => () => readLabel(each, rule))))];
    },
  },
];
