import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configToYaml, resolveConfig } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/fixtures.js';

const folder = temporaryFolder();

/** A configuration with these lines below `data:`. */
function write(lines: string): string {
  const file = join(folder, 'config.yaml');
  const rest = `root: ${folder}\nclasses: [road, hole]\nlists: { labelled: a.txt, unlabelled: b.txt, val: c.txt }`;
  writeFileSync(file, `data:\n${`${rest}\n${lines}`.replaceAll(/^/gm, '  ')}\n`);
  return file;
}

const read = (lines: string) => resolveConfig(write(lines)).data;

describe('the keys of modalities', () => {
  it('take kinds, channels, ranges and several invalid values, and survive YAML', () => {
    const lines = `modalities:
  red: { kind: grey, channel: red, mean: 0.5 }
  height: { kind: depth, range: [0.5, 10], scale: 0.001, invalid: [0, .nan, -1.5] }
  thermal: grey
  disparity: { kind: depth, invalid: .nan }`;
    const found = {
      red: { kind: 'grey', channel: 'red', mean: 0.5 },
      height: { kind: 'depth', range: [0.5, 10], scale: 0.001, invalid: [0, -1.5] },
      thermal: { kind: 'grey' },
      disparity: { kind: 'depth', invalid: [] },
    };
    expect(read(lines).modalities).toEqual(found);
    const again = join(folder, 'again.yaml');
    writeFileSync(again, configToYaml(resolveConfig(write(lines))));
    expect(resolveConfig(again).data.modalities).toEqual(found);
  });

  it.each([
    ['modalities: { a: lidar, b: depth }', "expected one of 'rgb', 'depth', 'grey'"],
    ['modalities: { a: { kind: rgb, invalid: 0 }, b: depth }', "'invalid' has no meaning for rgb"],
    ['modalities: { a: { kind: grey, range: [2, 1] }, b: depth }', 'expected [least, greatest]'],
    ['modalities: { a: { kind: depth, scale: 0.001 }, b: rgb }', "'scale' is the unit of 'range'"],
    ['modalities: { a: { kind: depth, channel: violet }, b: rgb }', 'expected a colour, alpha or'],
  ])('are refused: %s', (lines, text) => {
    expect(() => read(lines)).toThrow(
      expect.objectContaining({ code: 'M3L_CONFIG_VALUE', message: expect.stringContaining(text) }),
    );
  });
});

describe('the sizes of a scene', () => {
  it('may be those of a modality that there is', () => {
    expect(read('align: rgb').align).toBe('rgb');
    expect(() => read('align: thermal')).toThrow(
      "data.align: found 'thermal', expected one of 'rgb', 'depth'.",
    );
  });
});

describe('the keys of labels', () => {
  it('take values and colours, by index and by name', () => {
    expect(read('labels: { map: { 255: 1, 7: hole }, void: [9] }').labels).toEqual({
      map: { 255: 1, 7: 'hole' },
      void: [9],
    });
    expect(
      read("labels: { map: { '#ff0000': road, '0,0,255': void }, void: others }"),
    ).toBeTruthy();
  });

  it.each([
    [
      'labels: { map: { 7: river } }',
      "found '7: river', expected a class from 0 to 1, or one of road",
    ],
    ['labels: { map: { red: 1 } }', "found 'red', expected a whole number, or a colour"],
    ['labels: { void: others }', "found 'others' without a map"],
    ['labels: { maps: { 1: 1 } }', "did you mean 'data.labels.map'?"],
    ['labelOffset: -1', 'data.labelOffset: found -1'],
  ])('are refused: %s', (lines, text) => {
    expect(() => read(lines)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(text) }),
    );
  });
});
