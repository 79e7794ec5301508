import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = `${root}build/call-forms`;

/** Every so many-th of the 33,000 calls; all of them compile, or are refused, as they run (in a minute). */
const every = 5;

/** Messages of the compiler by the line of a program in `folder`. */
function complaints(name: string, text: string): Map<number, string> {
  mkdirSync(folder, { recursive: true });
  const file = `${folder}/${name}`;
  writeFileSync(file, text);
  const { config } = ts.readConfigFile(`${root}test/tsconfig.json`, ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, `${root}test`);
  const program = ts.createProgram([file], options);
  const source = program.getSourceFile(file)!;
  const diagnostics = [
    ...program.getSyntacticDiagnostics(source),
    ...program.getSemanticDiagnostics(source),
  ];
  return new Map(
    diagnostics.map(({ start, messageText }) => [
      source.getLineAndCharacterOfPosition(start!).line,
      ts.flattenDiagnosticMessageText(messageText, '\n'),
    ]),
  );
}

describe('types of the generated functions', () => {
  it('01 compile what runs, and refuse what throws', () => {
    const command = ['scripts/generate/call-forms.mjs', String(every)];
    const { stdout, stderr } = spawnSync(process.execPath, command, {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    });
    expect(stderr).toBe('');
    const forms: { call: string; runs: boolean }[] = JSON.parse(stdout);
    expect(forms.filter(({ runs }) => runs).length).toBeGreaterThan(1000);
    expect(forms.filter(({ runs }) => !runs).length).toBeGreaterThan(4000);
    const lines = forms.map(({ call }) => `  () => ${call},`);
    const head = "import { torch } from 'm3l';";
    const text = `${head} export const calls = (x: torch.Tensor, g: torch.Generator) => [\n${lines.join('\n')}\n];\n`;
    const found = complaints('calls.ts', text);
    const wrong = forms.filter(({ runs }, i) => runs === found.has(i + 1));
    expect(wrong.map(({ call, runs }) => `${runs ? 'runs' : 'throws'}: ${call}`)).toEqual([]);
  });

  it('02 refuse a second options object, a name given twice, a tensor for an options object', () => {
    const refused = [
      'x.sum({ dim: 1 }, { keepdim: true })',
      'x.sum(1, { dim: 1 })',
      'x.mean(x)',
      'torch.zeros([2], x)',
      'torch.conv2d(x, x, { padding: 1 }, { stride: 2 })',
      "x.div(2, { roundingMode: 'up' })",
      'torch.clone(x, {}, {})',
    ];
    const text = `import { torch } from 'm3l';\nexport const calls = (x: torch.Tensor) => [\n${refused.join(',\n')}\n];\n`;
    expect([...complaints('refused.ts', text).keys()]).toEqual(refused.map((_, i) => i + 2));
  });

  it('03 functions take no more arguments than they have', async () => {
    const { torch } = await import('m3l');
    torch.scope(() => {
      const x = torch.ones([2]);
      const clone = torch.clone as (...args: unknown[]) => unknown;
      expect(() => clone(x, {}, {})).toThrow(/takes 1 positional arguments, found 2/);
      const add = torch.add as (...args: unknown[]) => unknown;
      expect(() => add(x, x, { alpha: 2 }, { nonsense: 1 })).toThrow(/positional arguments/);
    });
  });
});
