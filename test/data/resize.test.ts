import { describe, expect, it } from 'vitest';
import { resizeNearest, resizeSmooth } from '../../dist/data/resize.js';

const TYPES = [
  Uint8Array,
  Uint16Array,
  Uint32Array,
  Int16Array,
  Int32Array,
  Float32Array,
  Float64Array,
] as const;

describe.each(TYPES.map((type) => ({ type, name: type.name })))('$name', ({ type, name }) => {
  const signed = /^(Int|Float)/.test(name);
  const picture = (values: readonly number[]) => ({
    width: 2,
    height: 2,
    channels: 1,
    data: type.from(values),
  });

  it('keeps its type and values where the nearest is taken', () => {
    const values = signed ? [-3, 7, 100, -120] : [3, 7, 100, 120];
    const { data } = resizeNearest(picture(values), 4, 4);
    expect(data).toBeInstanceOf(type);
    const [a, b, c, d] = values;
    expect([...data]).toEqual([a, a, b, b, a, a, b, b, c, c, d, d, c, c, d, d]);
  });

  it('is rounded where it is mixed and holds integers', () => {
    const values = signed ? [-3, -2, -2, -2] : [3, 2, 2, 2];
    const { data } = resizeSmooth(picture(values), 1, 1);
    expect(data).toBeInstanceOf(type);
    const mean = signed ? -2.25 : 2.25;
    expect([...data]).toEqual([name.startsWith('Float') ? mean : Math.round(mean)]);
  });

  it('loses no bits of large integers', () => {
    if (type.BYTES_PER_ELEMENT < 4 || type === Float32Array) return;
    const large = 2 ** 31 - 3;
    const { data } = resizeSmooth(picture([large, large, large, large]), 3, 3);
    expect([...data]).toEqual(Array(9).fill(large));
  });
});
