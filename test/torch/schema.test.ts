import { describe, expect, it } from 'vitest';
import {
  camelCase,
  compareOverloads,
  isOutVariant,
  parseSchema,
  unsupportedType,
} from '../../dist/torch/schema.js';

describe('schema', () => {
  it('01 names in camelCase, with the underscores at both ends', () => {
    expect(
      [
        'add',
        'layer_norm',
        'add_',
        '_foreach_add_',
        '_log_softmax',
        'atleast_1d',
        'index_put_',
      ].map(camelCase),
    ).toEqual([
      'add',
      'layerNorm',
      'add_',
      '_foreachAdd_',
      '_logSoftmax',
      'atleast1d',
      'indexPut_',
    ]);
  });

  it('02 parameters, defaults and keyword-only marks', () => {
    const schema = parseSchema(
      'aten::f.over(Tensor self, int[2] stride=[1, 1], str mode="a, b", *, Scalar? alpha=None) -> Tensor',
    )!;
    expect([schema.namespace, schema.name, schema.overload]).toEqual(['aten', 'f', 'over']);
    expect(
      schema.parameters.map(({ key, keywordOnly, defaultText }) => [key, keywordOnly, defaultText]),
    ).toEqual([
      ['self', false, null],
      ['stride', false, '[1, 1]'],
      ['mode', false, '"a, b"'],
      ['alpha', true, 'None'],
    ]);
    expect(schema.parameters[1]!.type).toMatchObject({ kind: 'int', list: true, length: 2 });
    expect(schema.parameters[3]!.type).toMatchObject({ kind: 'Scalar', optional: true });
  });

  it('03 aliases, optional elements, named results', () => {
    const views = parseSchema('aten::split(Tensor(a -> *) self, SymInt size) -> Tensor(a)[]')!;
    expect(views.parameters[0]).toMatchObject({ name: 'self', writes: null });
    expect(views.returns[0]!.type).toMatchObject({ kind: 'Tensor', list: true });
    const put = parseSchema('aten::index_put_(Tensor(a!) self, Tensor?[] indices) -> Tensor(a!)')!;
    expect([put.parameters[0]!.writes, put.returns[0]!.writes]).toEqual(['a', 'a']);
    expect(put.parameters[1]!.type).toMatchObject({ optionalElements: true, optional: false });
    const max = parseSchema(
      'aten::max.dim(Tensor self, int dim) -> (Tensor values, Tensor indices)',
    )!;
    expect(max.returns.map(({ name }) => name)).toEqual(['values', 'indices']);
    const none = parseSchema('aten::f(Tensor(a!)[] self, int[1]? dim) -> ()')!;
    expect(none.returns).toEqual([]);
    expect(none.parameters[1]!.type).toMatchObject({ list: true, length: 1, optional: true });
  });

  it('04 out variants and types without a form', () => {
    const out = parseSchema('aten::abs.out(Tensor self, *, Tensor(a!) out) -> Tensor(a!)')!;
    expect(isOutVariant(out)).toBe(true);
    expect(isOutVariant(parseSchema('aten::abs_(Tensor(a!) self) -> Tensor(a!)')!)).toBe(false);
    expect(unsupportedType(parseSchema('aten::f(Tensor(a!) self, Stream s) -> ()')!)).toBe(
      'Stream',
    );
    expect(unsupportedType(out)).toBe(null);
  });

  it('05 Tensor before Scalar, int before int[], lists before strings', () => {
    const order = (...texts: string[]) =>
      texts
        .map((text) => parseSchema(`aten::f.${text} -> Tensor`)!)
        .sort(compareOverloads)
        .map(({ overload }) => overload);
    expect(order('S(Tensor self, Scalar other)', 'T(Tensor self, Tensor other)')).toEqual([
      'T',
      'S',
    ]);
    expect(order('L(Tensor self, int[] n)', 'I(Tensor self, int n)')).toEqual(['I', 'L']);
    expect(order('P(Tensor self, str p="x")', 'L(Tensor self, int[2] p=1)')).toEqual(['L', 'P']);
    expect(order('D(Tensor self, int[1]? dim)', 'A(Tensor self)')).toEqual(['A', 'D']);
  });
});
