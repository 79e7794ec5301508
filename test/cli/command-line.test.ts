import { Option } from 'commander';
import { FILLS } from 'm3l/models';
import { describe, expect, it } from 'vitest';
import {
  device,
  deviceOrAuto,
  number,
  oneOf,
  pair,
  pictureSize,
  seeds,
  someOf,
  wholeNumber,
} from '../../dist/cli/arguments.js';
import { spellOut } from '../../dist/cli/command-line.js';

const OPTIONS = [
  new Option('--set <key=value...>'),
  new Option('--missing <modality...>'),
  new Option('--out <folder>'),
  new Option('--resume [run]'),
  new Option('--json'),
];
const spelt = (line: string) => spellOut(line.split(' '), OPTIONS).join(' ');

describe('spellOut', () => {
  it('01 gives options their values, and no more', () => {
    expect(spelt('--set a=1 b=2 CONFIG --json')).toBe('--set=a=1 --set=b=2 CONFIG --json');
    expect(spelt('CONFIG --set a=1 --out x=y')).toBe('CONFIG --set=a=1 --out=x=y');
    expect(spelt('--set=a=1 b=2 c')).toBe('--set=a=1 --set=b=2 c');
    expect(spelt('--missing rgb depth runs/x')).toBe('--missing=rgb --missing=depth runs/x');
    expect(spelt('--resume --out -1 x')).toBe('--resume --out=-1 x');
    expect(spelt('x -- --set --json')).toBe('x -- --set --json');
    expect(spelt('--set a=-1 b=--c')).toBe('--set=a=-1 --set=b=--c');
    expect(spelt('--out=--odd --unknown --set a=1')).toBe('--out=--odd --unknown --set=a=1');
  });

  it('02 refuses an option without its value', () => {
    for (const [line, found] of [
      ['--out', 'nothing follows'],
      ['--out --json', "found '--json'"],
      ['--set --json', "found '--json'"],
      ['--set -h', "found '-h'"],
      ['--missing --set a=1', "found '--set'"],
      ['--out=', 'an empty one'],
      ['--out  x', 'an empty one'],
      ['--resume=', 'an empty one'],
      ['--set CONFIG', "found 'CONFIG', expected key=value"],
      ['--set =1', "found '=1', expected key=value"],
    ] as const) {
      expect(() => spelt(line), line).toThrow(found);
    }
  });
});

describe('arguments', () => {
  it('03 reads seeds as a count or one by one', () => {
    expect(seeds('3')).toEqual([1, 2, 3]);
    expect(seeds('11,12,13')).toEqual([11, 12, 13]);
    expect(seeds('11,')).toEqual([11]);
    for (const text of ['0', '-1', '1.5', 'x', '', '1,,2', '1,1', '1e9', ',']) {
      expect(() => seeds(text), text).toThrow();
    }
  });

  it('04 reads numbers strictly', () => {
    expect([wholeNumber()('7'), wholeNumber({ least: 0 })('0')]).toEqual([7, 0]);
    for (const text of ['0', '-1', '1.5', '0x10', '1e3', ' ', 'NaN', '99999999999']) {
      expect(() => wholeNumber()(text), text).toThrow('whole number');
    }
    expect([number(1)('0.5'), number()('1e3'), number()('.5')]).toEqual([0.5, 1000, 0.5]);
    for (const text of ['1.1', '-0.1', '', ' ', 'Infinity', 'half', '0,5']) {
      expect(() => number(1)(text), text).toThrow('from 0 to 1');
    }
    expect(pictureSize('120x160')).toEqual([120, 160]);
    for (const text of ['120', '120x', '0x160', '120x160x3', '-1x5', '9999x9999']) {
      expect(() => pictureSize(text), text).toThrow('HEIGHTxWIDTH');
    }
  });

  it('05 reads words, each once, and suggests the nearest', () => {
    expect(oneOf(['best', 'latest'])('best')).toBe('best');
    expect(() => oneOf(['best', 'latest'])('lates')).toThrow("Did you mean 'latest'?");
    expect(someOf(FILLS)('mean', ['zeros'])).toEqual(['zeros', 'mean']);
    expect(() => someOf(FILLS)('zeros,zeros')).toThrow("'zeros' is given twice");
    expect(() => someOf(FILLS)('')).toThrow('zeros, noise or mean');
    expect(['cpu', 'cuda', 'cuda:1'].map(device)).toEqual(['cpu', 'cuda', 'cuda:1']);
    expect(['auto', 'cpu'].map(deviceOrAuto)).toEqual(['auto', 'cpu']);
    for (const text of ['gpu', 'auto', 'cuda:', 'CPU', 'cuda:x', 'cpu:0']) {
      expect(() => device(text), text).toThrow('cuda:N');
    }
  });

  it('06 reads pairs', () => {
    expect(pair('depth=a=b.png', { rgb: 'c' })).toEqual({ rgb: 'c', depth: 'a=b.png' });
    expect(() => pair('rgb=b', { rgb: 'a' })).toThrow("'rgb' is given twice");
    expect(() => pair('rgb=')).toThrow('no value');
  });
});
