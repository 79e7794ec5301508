import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { torch } from 'm3l';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string) => readFileSync(`${root}lib/torch/generated/${file}.d.ts`, 'utf8');

interface Documented {
  /** `abs` or `linalg.svd`. */
  name: string;
  comment: string;
}

/** Each function with the comment that stands before its first form. */
function documentedIn(file: string): Documented[] {
  const prefix = file === 'functions' ? '' : `${file}.`;
  const found = read(file).matchAll(
    /^(.*)\n(?:export )?declare function (\w+?)(?:Operator)?\(.*\n(?:(?:export )?declare function \2(?:Operator)?\(.*\n)*/gm,
  );
  return [...found].map(([, comment, name]) => ({ name: prefix + name!, comment: comment! }));
}

const all = ['functions', 'linalg', 'fft', 'special'].flatMap(documentedIn);
const saying = (text: string | RegExp) => all.filter(({ comment }) => comment.match(text));

type Call = (...args: unknown[]) => unknown;

function call(name: string): Call {
  const path = name.split('.');
  const found = path.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], torch);
  return found as Call;
}

/** Arguments beside the first tensor, for those that need some. */
const others: Record<string, unknown[]> = {
  mvlgamma: [1],
  'special.multigammaln': [1],
  asStrided: [[2], [1]],
  broadcastTo: [[2, 2]],
  chunk: [2],
  expand: [[2, 2]],
  expandAs: [torch.zeros([2, 2])],
  movedim: [0, 1],
  moveaxis: [0, 1],
  narrow: [0, 0, 1],
  permute: [[1, 0]],
  select: [0, 0],
  split: [1],
  splitWithSizes: [[1, 1]],
  swapaxes: [0, 1],
  swapdims: [0, 1],
  tensorSplit: [2],
  transpose: [0, 1],
  unfold: [0, 1, 1],
  unsqueeze: [0],
  view: [[4]],
  viewAs: [torch.zeros([4])],
  hsplit: [2],
  vsplit: [2],
};

describe('comments of the generated functions', () => {
  it('01 are there for each, and say what most give', () => {
    expect(all.length).toBeGreaterThan(1100);
    expect(all.filter(({ comment }) => !/^\/\*\* .* \*\/$/.test(comment))).toEqual([]);
    expect(
      saying(/undefined,|undefined\.|NaN[,.]$|'\d+'/).filter(({ comment }) =>
        comment.includes('Defaults'),
      ),
    ).toEqual([]);
    expect(all.filter(({ comment }) => !comment.startsWith('/** `aten::')).length).toBeGreaterThan(
      1000,
    );
  });

  it('02 are right about integers that give float32', () =>
    torch.scope(() => {
      const x = torch.ones([2], { dtype: 'int32' });
      const named = saying('Integers give float32.');
      expect(named.length).toBeGreaterThan(60);
      for (const { name } of named) {
        const args = /olygamma$/.test(name) ? [1, x] : [x, ...(others[name] ?? [])];
        expect((call(name)(...args) as torch.Tensor).dtype, name).toBe('float32');
      }
    }));

  it('03 are right about bool', () =>
    torch.scope(() => {
      const x = torch.ones([2]);
      const compared = saying('the result is bool');
      expect(compared.length).toBeGreaterThan(12);
      for (const { name } of compared) {
        expect((call(name)(x, x) as torch.Tensor).dtype, name).toBe('bool');
      }
      for (const { name, comment } of saying(/^\/\*\* True where an element is/)) {
        if (comment.includes('In place')) continue;
        expect((call(name)(x) as torch.Tensor).dtype, name).toBe('bool');
      }
    }));

  it('04 are right about views and copies', () =>
    torch.scope(() => {
      const first = (result: unknown) =>
        (Array.isArray(result) ? result[0] : result) as torch.Tensor;
      const named = saying(/: (a view|views)[.;]|, never a view\.|: a copy\./);
      let tried = 0;
      for (const { name, comment } of named) {
        const x = torch.ones([2, 2]);
        const base = name.replace(/Copy$/, '');
        const args = others[base] ?? (/^(flip|repeat|tile)$/.test(name) ? [[1, 1]] : []);
        let result: torch.Tensor;
        try {
          result = first(call(name)(x, ...args));
        } catch (error) {
          // Of sparse or complex tensors, of more dimensions, or with other arguments.
          expect((error as { code: string }).code, name).toMatch(/^M3L_/);
          continue;
        }
        tried += 1;
        expect(result.sameStorage(x), name).toBe(/: (a view|views)/.test(comment));
      }
      expect(tried).toBeGreaterThan(35);
    }));

  it('05 are right about what is written in place', () => {
    const inPlace = saying('In place: `');
    expect(inPlace.length).toBeGreaterThan(150);
    expect(inPlace.filter(({ name }) => !name.endsWith('_'))).toEqual([]);
  });

  it('06 are what an editor shows, for functions and methods, whatever the form', () => {
    const file = `${root}test/torch/zz-hover.ts`;
    const program = [
      "import { torch } from 'm3l';",
      'const x = torch.ones([2, 2]);',
      'torch.conv2d(x, x, { padding: 1 });',
      'torch.linalg.svd(x, false);',
      'x.sum([1], true);',
      'x.sum({ dim: 1 });',
    ].join('\n');
    const { config } = ts.readConfigFile(`${root}test/tsconfig.json`, ts.sys.readFile);
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, `${root}test`);
    const service = ts.createLanguageService({
      getScriptFileNames: () => [file],
      getScriptVersion: () => '1',
      getScriptSnapshot: (name) => {
        const text = name === file ? program : ts.sys.readFile(name);
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
      },
      getCurrentDirectory: () => root,
      getCompilationSettings: () => options,
      getDefaultLibFileName: ts.getDefaultLibFilePath,
      fileExists: (name) => name === file || ts.sys.fileExists(name),
      readFile: ts.sys.readFile,
      directoryExists: ts.sys.directoryExists,
      getDirectories: ts.sys.getDirectories,
    });
    const shown = (text: string) => {
      const info = service.getQuickInfoAtPosition(file, program.indexOf(text))!;
      return {
        type: ts.displayPartsToString(info.displayParts),
        comment: ts.displayPartsToString(info.documentation),
      };
    };
    const convolution = shown('conv2d(x, x, {');
    expect(convolution.comment).toMatch(/^Convolution of \[N, C, H, W\].*PyTorch: `torch\.conv2d`/);
    expect(convolution.type).toMatch(/options: {\s*bias\?:.*\s*stride\?:/);
    expect(shown('svd(').comment).toMatch(/PyTorch: `torch\.linalg\.svd`/);
    for (const form of ['sum([1]', 'sum({ dim']) {
      expect(shown(form).comment).toMatch(/^Sum of all elements .*Defaults: keepdim false\./);
    }
    expect(shown('sum([1]').type).toMatch(
      /sum\(dim: (torch\.)?NumberList \| null, keepdim\?: boolean/,
    );
  });
});
