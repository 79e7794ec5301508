import { join } from 'node:path';
import {
  applyLabelRule,
  type DataError,
  describeLabels,
  type LabelRuleOptions,
  labelRule,
  readRawLabels,
  suggestLabelMap,
} from 'm3l/data';
import { describe, expect, it } from 'vitest';
import { temporaryFolder, writeColour, writeGrey, writePng } from './fixtures.js';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
let count = 0;

/** Classes of a label file of one row that holds these values. */
async function classes(
  values: readonly number[],
  options: Partial<LabelRuleOptions>,
  bits: 8 | 16 = 8,
): Promise<number[]> {
  const file = at(`l${count++}.png`);
  await writeGrey(file, values.length, 1, values, bits);
  return classesOf(file, options);
}

async function classesOf(file: string, options: Partial<LabelRuleOptions>): Promise<number[]> {
  const rule = labelRule({ numClasses: 3, ...options });
  return [...applyLabelRule(await readRawLabels(file, rule), rule).data];
}

const COLOURS = [255, 0, 0, 0, 0, 255, 0, 0, 0];
async function colourFile(values: readonly number[] = COLOURS): Promise<string> {
  const file = at(`c${count++}.png`);
  await writeColour(file, values.length / 3, 1, values);
  return file;
}

describe('a label rule', () => {
  it.each([8, 16] as const)('maps raw values of %i bits to classes', async (bits) => {
    const labels = { map: { 255: 1, 7: 2 } };
    expect(await classes([0, 255, 7], { labels }, bits)).toEqual([0, 1, 2]);
    expect(await classes([0, 255], { numClasses: 2, labels: { map: { 255: 1 } } }, bits)).toEqual([
      0, 1,
    ]);
  });

  it('maps values of 16 bits, to classes by their names and to void', async () => {
    const options = {
      labels: { map: { 1000: 'sky', 40000: 'void', 2: 0 } },
      classNames: ['road', 'sky', 'car'],
    };
    expect(await classes([1000, 40000, 2], options, 16)).toEqual([1, 255, 0]);
  });

  it('has any void values, beside 255', async () => {
    expect(await classes([0, 9, 200, 255, 2], { labels: { void: [9, '200'] } })).toEqual([
      0, 255, 255, 255, 2,
    ]);
    expect(await classes([0, 9, 200, 255], { labels: { map: { 9: 1 }, void: 'others' } })).toEqual([
      255, 1, 255, 255,
    ]);
  });

  it('shifts what is not listed by the offset', async () => {
    const options = { labelOffset: 1, labels: { map: { 100: 0 }, void: [50] } };
    expect(await classes([0, 2, 3, 100, 50], options)).toEqual([255, 1, 2, 0, 255]);
  });

  it('maps colours, of RGB, palettes and grey', async () => {
    const labels = { map: { '#FF0000': 1, '0,0,255': 2, '0, 0, 0': 'void' } };
    expect(await classesOf(await colourFile(), { labels })).toEqual([1, 2, 255]);
    await writePng(at('palette.png'), 2, 1, [0, 1], { bits: 1 });
    // The fixture's palette: (i · 37 + 13) mod 256.
    const palette = { map: { '13,50,87': 1, '124,161,198': 0 } };
    expect(await classesOf(at('palette.png'), { labels: palette })).toEqual([1, 0]);
    expect(await classes([0, 7], { labels: { map: { '#000000': 0, '#070707': 1 } } })).toEqual([
      0, 1,
    ]);
    const others = { map: { '#ff0000': 1 }, void: 'others' } as const;
    expect(await classesOf(await colourFile(), { labels: others })).toEqual([1, 255, 255]);
  });
});

const refused = (code: string, text: string): DataError =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

describe('labels that a rule has no class for', () => {
  it('are refused with the map that would mend them', async () => {
    await expect(classes([0, 128, 128], { numClasses: 2 })).rejects.toThrow(
      refused(
        'M3L_LABEL_RANGE',
        'found label 128 (row 0, column 1), expected 0 to 1, or 255 for void. The file holds 0, 128: ' +
          'if these are its classes, set data.labels.map: { 128: 1 } (',
      ),
    );
  });

  it('as are those whose class another value has been given', async () => {
    // As ids of Cityscapes: 1 is no class where 8 becomes class 1.
    const labels = { map: { 7: 0, 8: 1 } };
    await expect(classes([7, 8, 1], { labels })).rejects.toThrow(
      refused(
        'M3L_LABEL_RANGE',
        'found label 1 (row 0, column 2), expected a value of the map. List it in data.labels.map ' +
          '(class 1 is what 8 becomes), or in data.labels.void.',
      ),
    );
  });

  it('as are colours without a map, or beside it', async () => {
    await expect(classesOf(await colourFile(), {})).rejects.toThrow(
      refused(
        'M3L_LABEL_FORMAT',
        '(#000000, #0000ff, #ff0000), expected class numbers. Say which class each colour is, e.g. data.labels.map: { "#000000": 0, "#0000ff": 1, "#ff0000": 2 }',
      ),
    );
    const labels = { map: { '#ff0000': 1 } };
    await expect(classesOf(await colourFile(), { labels })).rejects.toThrow(
      refused('M3L_LABEL_RANGE', 'found label #0000ff (row 0, column 1), expected a colour'),
    );
  });
});

describe('a rule that is none', () => {
  it.each([
    [{ map: { red: 1 } }, "labels.map: found 'red', expected a whole number, or a colour"],
    [{ map: { '256,0,0': 1 } }, "labels.map: found '256,0,0'"],
    [
      { map: { 1: 3 } },
      "labels.map: found '1: 3', expected a class from 0 to 2, or one of a, b, c",
    ],
    [{ map: { 1: 'd' } }, "labels.map: found '1: d'"],
    [{ map: { 1: 0, '#ff0000': 1 } }, 'found colours and numbers'],
    [{ map: { 1: 0 }, void: [1] }, "labels.void: found '1' twice"],
    [{ void: 'others' }, "labels.void: found 'others' without a map"],
  ] as [LabelRuleOptions['labels'], string][])('%o', (labels, text) => {
    expect(() => labelRule({ numClasses: 3, classNames: ['a', 'b', 'c'], labels })).toThrow(
      refused('M3L_DATA_OPTIONS', text),
    );
  });

  it('has no offset of colours', () => {
    const labels = { map: { '#ff0000': 1 } };
    expect(() => labelRule({ numClasses: 3, labelOffset: 1, labels })).toThrow('labelOffset');
  });
});

describe('what labels hold', () => {
  it('is told with how many pixels', async () => {
    await writeGrey(at('d.png'), 5, 1, [0, 255, 255, 0, 3]);
    expect(describeLabels(await readRawLabels(at('d.png'), { colours: false }))).toEqual([
      { raw: 0, text: '0', pixels: 2 },
      { raw: 3, text: '3', pixels: 1 },
      { raw: 255, text: '255', pixels: 2 },
    ]);
    const raw = await readRawLabels(await colourFile(), { colours: true });
    expect(describeLabels(raw).map(({ text }) => text)).toEqual(['#000000', '#0000ff', '#ff0000']);
  });

  it('suggests a map where the values are not classes', () => {
    expect(suggestLabelMap([0, 255], 2)).toBe(
      "data.labels.map: { 255: 1 } (--set 'data.labels.map={ 255: 1 }')",
    );
    expect(suggestLabelMap([50, 100, 150], 3)).toContain(
      'data.labels.map: { 50: 0, 100: 1, 150: 2 }',
    );
    expect(suggestLabelMap([0, 1], 2)).toBeNull();
    expect(suggestLabelMap([0, 1, 2, 255], 3)).toBeNull();
  });
});
