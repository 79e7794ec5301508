/**
 * Does what a Dockerfile says without Docker, as the root user: each stage is a folder, its lines run in it
 * by chroot, in a process and mount namespace of their own. Knows the instructions that examples/ use.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** What a stage began as and became. */
export interface Stage {
  readonly root: string;
  readonly environment: Record<string, string>;
  folder: string;
  user: string;
  command: string[];
}

type Instruction = readonly [name: string, rest: string];

export function instructionsOf(dockerfile: string): Instruction[] {
  const lines = dockerfile.split('\n').filter((line) => !/^\s*(#|$)/.test(line));
  return lines
    .join('\n')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => {
      const [, name, rest] = /^\s*([A-Z]+)\s+(.*\S)\s*$/.exec(line) ?? [];
      if (name === undefined || rest === undefined) throw new Error(`no instruction: ${line}`);
      return [name, rest];
    });
}

/**
 * The last stage.
 * @param base stands for every image that FROM names
 * @param context the folder that COPY copies from
 * @param stages an empty folder
 */
export function buildStages(
  dockerfile: string,
  { base, context, stages }: { base: string; context: string; stages: string },
): Stage {
  const built: Stage[] = [];
  const named = new Map<string, Stage>();
  for (const [name, rest] of instructionsOf(dockerfile)) {
    if (name === 'FROM') {
      const [, alias] = /^\S+(?: AS (\S+))?$/i.exec(rest) ?? [];
      const root = join(stages, String(built.length));
      finish(spawnSync('cp', ['-a', '--reflink=auto', base, root], { encoding: 'utf8' }), name);
      const stage = { root, environment: {}, folder: '/', user: 'root', command: [] };
      built.push(stage);
      if (alias !== undefined) named.set(alias, stage);
      continue;
    }
    const stage = built.at(-1);
    if (stage === undefined) throw new Error(`${name} before FROM`);
    if (name === 'WORKDIR') {
      stage.folder = resolve(stage.folder, rest);
      mkdirSync(join(stage.root, stage.folder), { recursive: true });
    } else if (name === 'ENV') {
      for (const pair of rest.split(/\s+/)) {
        const [variable = '', value = ''] = pair.split('=');
        stage.environment[variable] = value;
      }
    } else if (name === 'COPY') {
      const [, from, paths = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? [];
      copy(from === undefined ? context : named.get(from)!.root, paths.split(/\s+/), stage);
    } else if (name === 'RUN') {
      const [program, args] = enter(stage, ['/bin/sh', '-c', rest]);
      finish(spawnSync(program, args, { encoding: 'utf8' }), `RUN ${rest}`);
    } else if (name === 'USER') stage.user = rest;
    else if (name === 'CMD') stage.command = JSON.parse(rest);
    else if (name !== 'EXPOSE') throw new Error(`${name} is not known`);
  }
  return built.at(-1)!;
}

/** Starts the stage's command, in a process group of its own: `process.kill(-pid)` ends all of it. */
export function start(stage: Stage, environment: Record<string, string>): ChildProcess {
  const [program, args] = enter(
    { ...stage, environment: { ...stage.environment, ...environment } },
    stage.command,
  );
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
}

function copy(from: string, paths: string[], { root, folder }: Stage): void {
  const to = join(root, resolve(folder, paths.at(-1)!));
  for (const path of paths.slice(0, -1)) {
    const place = join(from, dirname(path));
    const pattern = new RegExp(`^${basename(path).replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
    const found = readdirSync(place).filter((name) => pattern.test(name));
    if (found.length === 0) throw new Error(`COPY ${path}: ${place} holds none`);
    for (const name of found) {
      // A folder's contents are copied, and not the folder.
      const isFolder = path.startsWith('/') && !path.includes('*');
      cpSync(join(place, name), isFolder ? to : join(to, name), {
        recursive: true,
        verbatimSymlinks: true,
      });
    }
  }
}

/** The command that runs `command` in the stage. */
function enter(stage: Stage, command: string[]): [string, string[]] {
  const { root, environment, folder, user } = stage;
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const namespace = ['--mount', '--pid', '--fork', `--mount-proc=${root}/proc`];
  const home = `HOME=${user === 'root' ? '/root' : `/home/${user}`}`;
  return [
    'unshare',
    [
      ...[...namespace, 'chroot', `--userspec=${user}`, root],
      ...['/usr/bin/env', '-i', `--chdir=${folder}`, path, home, ...certificates(), ...variables],
      ...command,
    ],
  ];
}

/** Of a network whose proxy has its own; the base image holds the file at the same place. */
function certificates(): string[] {
  const { NODE_EXTRA_CA_CERTS: file } = process.env;
  return file ? [`NODE_EXTRA_CA_CERTS=${file}`] : [];
}

function finish(done: ReturnType<typeof spawnSync>, what: string): void {
  if (done.status === 0) return;
  throw new Error(`${what} ended with ${done.status ?? done.error}: ${done.stdout}${done.stderr}`);
}
