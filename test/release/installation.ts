import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findLibtorch } from '../../dist/torch/libtorch.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** What doctor said, and what the first use of the library threw. */
export interface Said {
  ok: boolean;
  checks: { name: string; status: string; found: string; fix: string | null }[];
  thrown: string;
}

/** m3l as npm would have installed it, with every file of it free to be broken. */
export class Installation {
  readonly modules: string;
  readonly native: string;
  readonly libtorch: string;
  readonly home: string;
  readonly #bin: string;

  constructor(readonly project: string) {
    this.modules = join(project, 'node_modules');
    this.native = join(this.modules, '@m3l/linux-x64');
    this.libtorch = join(this.modules, '@m3l/libtorch-linux-x64');
    this.home = join(project, 'home');
    this.#bin = join(project, 'bin');
    for (const folder of [this.home, this.#bin, this.native, this.libtorch]) {
      mkdirSync(folder, { recursive: true });
    }
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    for (const name of Object.keys(manifest.dependencies)) {
      // A link leads out of the folder, where a process under the permission model may not read.
      if (name === 'node-gyp-build') {
        cpSync(join(root, 'node_modules', name), join(this.modules, name), { recursive: true });
      } else {
        // Of a scope there is a folder.
        mkdirSync(dirname(join(this.modules, name)), { recursive: true });
        symlinkSync(join(root, 'node_modules', name), join(this.modules, name));
      }
    }
    for (const name of ['dist', 'package.json', 'scripts/tools.mjs']) {
      cpSync(join(root, name), join(this.modules, 'm3l', name), { recursive: true });
    }
    cpSync(join(root, 'build/native'), this.native, { recursive: true });
    this.manifest(this.native, manifest.version);
    this.manifest(this.libtorch, '2.13.0');
    this.library(this.libtorch);
  }

  manifest(folder: string, version: string): void {
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'any', version }));
  }

  /** Makes `folder` a libtorch: links to the files of the one that the tests run on. */
  library(folder: string, version?: string): void {
    const { folder: real, version: its } = findLibtorch()!;
    mkdirSync(join(folder, 'lib'), { recursive: true });
    for (const name of readdirSync(join(real, 'lib')).filter((file) => /\.so(\.|$)/.test(file))) {
      symlinkSync(join(real, 'lib', name), join(folder, 'lib', name));
    }
    writeFileSync(join(folder, 'version.py'), `__version__ = '${version ?? its}'\n`);
  }

  /** A libtorch in the user's cache. */
  cached(name: string): string {
    const folder = join(this.home, 'm3l/libtorch', name, 'torch');
    this.library(folder, name.replace('-', '+'));
    return folder;
  }

  /** Replaces a file, or a link to one, and nothing behind it. */
  replace(file: string, content: string | Buffer): void {
    rmSync(file, { force: true });
    writeFileSync(file, content);
  }

  /** What doctor says, and what a program throws. */
  ask(environment: NodeJS.ProcessEnv = {}, flags: string[] = []): Said {
    const main = join(this.modules, 'm3l/dist/cli/main.js');
    const { stdout } = this.#run(environment, [...flags, main, 'doctor', '--json']);
    const told = JSON.parse(stdout) as Omit<Said, 'thrown'>;
    return { ...told, thrown: this.compute(environment, flags) };
  }

  /** What a program that computes prints: '6', or what was thrown. */
  compute(environment: NodeJS.ProcessEnv = {}, flags: string[] = []): string {
    const program = `import { torch } from 'm3l';
      try { console.log(torch.ones([2, 3]).sum().item()); }
      catch (error) { console.log(error.code + ': ' + error.message); }`;
    const file = join(this.project, 'program.mjs');
    writeFileSync(file, program);
    const { stdout, stderr } = this.#run(environment, [...flags, file]);
    return stdout || stderr;
  }

  /** In a process that sees no Python. */
  #run(environment: NodeJS.ProcessEnv, args: string[]) {
    const env = {
      ...{ PATH: this.#bin, HOME: this.home, M3L_HOME: join(this.home, 'm3l') },
      ...{ OMP_NUM_THREADS: '1', ...environment },
    };
    return spawnSync(process.execPath, args, { cwd: this.project, env, encoding: 'utf8' });
  }
}
