import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { resolveConfig } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/fixtures.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const main = join(root, 'dist/cli/main.js');

interface Page {
  /** Where its lines run, in order. */
  folder: string;
  text: string;
}

function page(file: string): Page {
  const folder = join(temporary, file.replaceAll('/', '-'));
  mkdirSync(folder);
  return { folder, text: readFileSync(join(root, file), 'utf8') };
}

function blocks({ text }: Page, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(
    ([, body]) => body!,
  );
}

/** Lines that npm's own programs run, or that would download libtorch. */
const ELSEWHERE = /^(npm |npx m3l libtorch install)/;

const commandsIn = (of: Page) =>
  blocks(of, 'sh')
    .flatMap((block) => block.trim().split('\n'))
    .filter((line) => !ELSEWHERE.test(line));

/** What is appended to a line, so that a training ends in seconds: nothing but how often, and how much. */
function shortened(line: string): string {
  if (line.includes('--resume')) return '--set iterations=3';
  const rooms = 'data.rooms.labelled=2 data.rooms.unlabelled=2 data.rooms.val=2';
  const less = line.includes('rooms-demo') ? rooms : 'data.lists.val.count=2';
  if (line.startsWith('npx m3l train')) return `--set iterations=2 ${less}`;
  if (!line.startsWith('npx m3l compare-frameworks')) return '';
  return `--seeds 1 --fills zeros --set iterations=1 ${less}`;
}

/** Runs a line in bash, `npx m3l` being the command line that was built. */
async function run(line: string, { folder }: Page): Promise<void> {
  const npx = `npx() { shift; "$NODE" "$MAIN" "$@" ${shortened(line)}; }`;
  const { NODE_OPTIONS: _, ...env } = process.env;
  await promisify(execFile)('bash', ['-c', `set -e; ${npx}; ${line}`], {
    cwd: folder,
    env: { ...env, NODE: process.execPath, MAIN: main, OMP_NUM_THREADS: '1' },
  });
}

/** Runs a module that imports the package. */
function runProgram(text: string): Promise<{ stdout: string; stderr: string }> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  return promisify(execFile)(process.execPath, ['--input-type=module', '-e', text], {
    cwd: root,
    env: { ...env, OMP_NUM_THREADS: '1' },
  });
}

const temporary = temporaryFolder();
const readme = page('README.md');
const ownData = page('docs/your-own-data.md');

/** Blocks that begin with their file's name are files, the others lie over the last of them. */
const files = blocks(ownData, 'yaml').map((text) => ({
  text,
  name: /^# (\S+\.yaml)\n/.exec(text)?.[1],
}));
for (const { text, name } of files) {
  if (name !== undefined) writeFileSync(join(ownData.folder, name), text);
}
const experiment = join(ownData.folder, 'my-robot.yaml');

/** `model: { … }` and the like in the running text, as `--set` takes it. */
const settings = [...ownData.text.matchAll(/`([a-zA-Z.]+): ([^`…]+)`/g)].map(
  ([, key, value]): [string, string] => {
    const modality = { rgb: 'data.modalities.rgb', depth: 'data.modalities.depth' }[key!];
    const full = key === 'jitter' ? 'data.modalities.depth.jitter' : (modality ?? key!);
    return [full, value!.replaceAll(/\s+/g, ' ')];
  },
);

describe('docs/your-own-data.md', () => {
  it('01 has configurations that stand, as they are', () => {
    const named = files.filter(({ name }) => name !== undefined);
    expect(named.map(({ name }) => name)).toEqual(['my-robot-data.yaml', 'my-robot.yaml']);
    for (const { name } of named)
      expect(resolveConfig(join(ownData.folder, name!)).data.root).toBe(
        join(ownData.folder, 'my-robot'),
      );
  });

  it('02 has parts of configurations that fit the whole', () => {
    const parts = files.filter(({ name }) => name === undefined);
    expect(parts.length).toBeGreaterThan(3);
    for (const [index, { text }] of parts.entries()) {
      const file = join(ownData.folder, `part-${index}.yaml`);
      writeFileSync(file, `extends: my-robot.yaml\n${text}`);
      expect(() => resolveConfig(file), text).not.toThrow();
    }
  });

  it('03 has settings in its text that stand', () => {
    expect(settings.length).toBeGreaterThan(15);
    for (const [key, value] of settings) {
      // Not a setting of one file, but the beginning of another.
      const own = key === 'extends';
      const file = own ? join(ownData.folder, 'setting.yaml') : experiment;
      if (own) writeFileSync(file, `${key}: ${value}\n`);
      expect(() => resolveConfig(file, own ? [] : [`${key}=${value}`]), key).not.toThrow();
    }
  });

  it.each(commandsIn(ownData))('04 %s', (line) => run(line, ownData));

  it('05 has written what it says', () => {
    for (const file of ['scenes.png', 'classes.png', 'classes-overlay.png', 'dark.png']) {
      expect(existsSync(join(ownData.folder, file)), file).toBe(true);
    }
    for (const file of ['config.yaml', 'metrics.jsonl', 'samples.png', 'summary.json']) {
      expect(existsSync(join(ownData.folder, 'runs/my-robot', file)), file).toBe(true);
    }
    const lists = blocks(ownData, 'text')[0]!.trim();
    const written = readFileSync(join(ownData.folder, 'my-robot/train_labelled.txt'), 'utf8');
    expect(written.startsWith(`${lists}\n`)).toBe(true);
  });
});

describe('docs/tensors.md', () => {
  const guide = page('docs/tensors.md');

  it.each([...blocks(guide, 'ts').entries()])('09 its program %i', async (_, program) => {
    const { stdout, stderr } = await runProgram(program);
    expect(stderr).toBe('');
    // Each comment behind a console.log is what it prints.
    const said = [...program.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(
      ([, text]) => text!,
    );
    for (const text of said) expect(stdout.split('\n')).toContain(text);
  });

  it('10 every form of its table runs', async () => {
    const [, table] = /^## PyTorch for TypeScript\n(.*?)^## /ms.exec(guide.text)!;
    const rows = [...table!.matchAll(/^\| .*? \| (.*) \|$/gm)].map(([, cell]) => cell!).slice(1);
    expect(rows.length).toBeGreaterThan(30);
    const forms = rows.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code!));
    // Names of functions, of which the text says that they are there too.
    const named = forms.filter((form) => /^\w+$/.test(form));
    const program = `import { nn, optim, torch } from 'm3l';
      for (const name of ${JSON.stringify(named)})
        if (typeof torch[name] !== 'function') throw new Error(name);
      const faults = [];
      for (const form of ${JSON.stringify(forms.filter((form) => !named.includes(form)))}) {
        torch.scope(() => {
          const [x, y] = [torch.rand([2, 3]), torch.rand([2, 3])];
          const w = torch.ones([3], { requiresGrad: true });
          const [mask, target] = [x.gt(0.5), torch.tensor([0n, 1n])];
          const model = new nn.Linear(3, 2);
          const names = { torch, nn, optim, x, y, w, mask, target, model };
          try {
            new Function(...Object.keys(names), form)(...Object.values(names));
          } catch (error) {
            faults.push(form + ': ' + error.message);
          }
        });
      }
      console.log(JSON.stringify(faults));`;
    const { stdout } = await runProgram(program);
    expect(JSON.parse(stdout)).toEqual([]);
  });
});

describe('README.md', () => {
  it('06 has commands', () => {
    expect(commandsIn(readme).length).toBeGreaterThan(4);
  });

  it.each(commandsIn(readme))('07 %s', (line) => run(line, readme));

  it('08 has a program that gives what it says', async () => {
    const [program] = blocks(readme, 'ts');
    const { stdout } = await runProgram(program!);
    expect(Math.abs(Number(stdout) - 0.25)).toBeLessThan(0.05);
  });
});
