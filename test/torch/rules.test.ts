import { torch } from 'm3l';
import { readList } from 'm3l/data';
import { predictClasses } from 'm3l/evaluation';
import { RunFolder, train } from 'm3l/experiment';
import { optimizeForInference } from 'm3l/inference';
import { createFramework, pseudoWeight } from 'm3l/learning';
import { createModel } from 'm3l/models';
import { describe, expect, it } from 'vitest';
import { checkArguments } from '../../dist/torch/check-arguments.js';
import * as is from '../../dist/torch/rules.js';

describe('rules of arguments', () => {
  const spec = is.shape('ModalitySpec', { name: is.text, kind: is.text });
  const rules = { specs: is.listOf(spec), size: is.maybe(is.listOf(is.size)) };
  const check = (specs: unknown, size?: unknown) =>
    checkArguments('predict', { specs, size }, rules);

  it('01 name the innermost part that breaks one, what it is and what is expected', () => {
    expect(() => check([{ name: 'rgb', kind: 'rgb', more: 1 }], [2, 3])).not.toThrow();
    expect(() => check([{ name: 'rgb', kind: 3 }])).toThrow(
      'predict: found the number 3 for specs[0].kind, expected a string',
    );
    expect(() => check([{ name: 'rgb' }])).toThrow(
      'found an object for specs[0], expected ModalitySpec (with name, kind)',
    );
    expect(() => check('rgb')).toThrow(/found the string 'rgb' for specs, expected a list, each/);
    expect(() => check([], [2, 2 ** 40])).toThrow(/for size, expected a list, each an integer/);
    expect(() => check([], null)).toThrow(expect.objectContaining({ code: 'M3L_ARGUMENT' }));
  });

  it('02 are kept by the entry points above the tensors', async () => {
    const wrong: [() => unknown, RegExp][] = [
      [() => readList(3 as never, {} as never), /readList: found the number 3 for file/],
      [() => createModel(undefined as never), /createModel: found undefined for options/],
      [() => createFramework('supervised', {} as never), /createFramework: .* for input/],
      [() => pseudoWeight({ lambda: 1 } as never, 0), /pseudoWeight: .* for options, expected/],
      [() => optimizeForInference(torch.scope as never), /optimizeForInference: .* for model/],
      [() => predictClasses({} as never, [], {} as never), /predictClasses: .* for model/],
      [() => RunFolder.open([] as never), /RunFolder: found \[\] for path, expected a string/],
    ];
    for (const [call, message] of wrong) expect(call).toThrow(message);
    await expect(train({ config: 'a' } as never)).rejects.toThrow(/train: found the string 'a'/);
  });
});
