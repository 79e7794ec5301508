import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkConfig, compareRunFolders, listRuns, RunFolder, train } from 'm3l/experiment';
import { writeRooms } from 'm3l/rooms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { m3l } from '../cli/m3l.js';

let folder: string;
let runs: string;
const at = (name: string) => join(runs, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-run-list-'));
  runs = join(folder, 'runs');
  const counts = { labelled: 2, unlabelled: 1, val: 1 };
  await writeRooms(join(folder, 'rooms'), { ...counts, width: 48, height: 36, workers: 0 });
  const config = checkConfig({
    data: {
      root: join(folder, 'rooms'),
      classes: 13,
      lists: { labelled: 'train_labelled.txt', val: 'val.txt' },
      crop: 32,
    },
    framework: 'supervised',
    model: { backbone: 'mit-b0' },
    iterations: 2,
    batch: { labelled: 1 },
    evaluate: { samples: 0 },
    threads: 1,
    workers: 0,
  });
  await train({ config, run: RunFolder.create(config, at('whole')), check: false });
  const copy = (name: string) => {
    cpSync(at('whole'), at(name), { recursive: true });
    return at(name);
  };
  const edit = (file: string, from: string | RegExp, to: string) =>
    writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));

  rmSync(join(copy('stopped'), 'summary.json'));
  edit(join(at('stopped'), 'config.yaml'), 'iterations: 2', 'iterations: 9');
  edit(join(at('stopped'), 'config.yaml'), 'seed: 1', 'seed: 2');
  const owner = { pid: process.pid, host: hostname(), process: null, since: 'now' };
  writeFileSync(join(copy('running'), 'run.lock'), JSON.stringify(owner));
  edit(join(copy('suite/moved'), 'config.yaml'), join(folder, 'rooms'), join(folder, 'gone'));
  rmSync(join(copy('no-config'), 'config.yaml'));
  writeFileSync(join(copy('cut'), 'config.yaml'), 'name: cut\nframework: {');
  edit(join(copy('newer-key'), 'config.yaml'), 'seed: 1', 'seed: 1\nfutureKey: 3');
  edit(
    join(copy('newer-format'), 'checkpoints/step-0000002/checkpoint.json'),
    '"format": 1',
    '"format": 2',
  );
  writeFileSync(join(copy('damaged'), 'checkpoints/step-0000002/checkpoint.json'), '{"form');
  mkdirSync(at('no-run/inner'), { recursive: true });
  symlinkSync(runs, at('no-run/up'));
  mkdirSync(at('\u001b[31mred'), { recursive: true });
  writeFileSync(join(at('\u001b[31mred'), 'metrics.jsonl'), '');
  utimesSync(join(at('stopped'), 'metrics.jsonl'), new Date(0), new Date(0));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a list of runs', () => {
  it('01 tells what each is, whatever state it is in', () => {
    const listed = Object.fromEntries(listRuns(runs).map((run) => [run.run, run]));
    const states = Object.fromEntries(
      Object.entries(listed).map(([run, { state }]) => [run, state]),
    );
    expect(states).toEqual({
      whole: 'finished',
      running: 'running',
      stopped: 'stopped',
      'suite/moved': 'finished',
      'no-config': 'broken',
      cut: 'broken',
      'newer-key': 'broken',
      'newer-format': 'broken',
      damaged: 'broken',
      '\u001b[31mred': 'broken',
    });
    const report = RunFolder.open(at('whole')).metrics().at(-1)!;
    expect(listed.whole).toMatchObject({
      framework: 'supervised',
      model: 'linear-fusion',
      data: 'rooms',
      iteration: 2,
      iterations: 2,
      robustMeanIoU: report.robustMeanIoU,
      problem: null,
    });
    expect(listed.stopped).toMatchObject({
      iteration: 2,
      iterations: 9,
      when: new Date(0).toISOString(),
    });
    expect(listed['suite/moved']!.problem).toMatch(/its data are not at .*gone/);
    expect(listed['no-config']!.problem).toBe('has no config.yaml');
    expect(listed.cut!.problem).toMatch(/config\.yaml/);
    expect(listed['newer-key']!.problem).toMatch(/futureKey .*newer m3l/);
    expect(listed['newer-format']!.problem).toMatch(/format 2: of a newer m3l/);
    expect(listed.damaged!.problem).not.toBeNull();
  });

  it('02 is of the folder itself where that is a run, and names one that is none', () => {
    expect(listRuns(at('whole'))).toMatchObject([{ run: '.', state: 'finished' }]);
    expect(listRuns(at('no-run/inner'))).toEqual([]);
    for (const wrong of [at('absent'), join(at('whole'), 'config.yaml')]) {
      expect(() => listRuns(wrong)).toThrow(expect.objectContaining({ code: 'M3L_RUN_MISSING' }));
    }
  });

  it('03 on the command line sorts, steers no terminal, and is JSON where asked', async () => {
    const { stdout, code } = await m3l(['runs', '--sort', 'name'], { cwd: folder });
    expect(code).toBe(0);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toMatch(/^whole +finished +supervised +linear-fusion +rooms +2\/2 /m);
    const json = await m3l(['runs', runs, '--json', '--sort', 'score'], { cwd: folder });
    const listed = JSON.parse(json.stdout);
    expect(listed).toHaveLength(10);
    expect(listed.at(-1).robustMeanIoU).toBeNull();
    const none = await m3l(['runs', 'absent', '--json'], { cwd: folder });
    expect(none.code).toBe(1);
    expect(JSON.parse(none.stdout).error.code).toBe('M3L_RUN_MISSING');
  });
});

describe('runs side by side', () => {
  it('04 show what differs in their configurations, and their results by case and class', () => {
    const {
      runs: compared,
      settings,
      robustMeanIoU,
      cases,
    } = compareRunFolders([at('whole'), at('stopped')]);
    expect(compared.map(({ iteration, problem }) => [iteration, problem])).toEqual([
      [2, null],
      [2, null],
    ]);
    expect(settings).toEqual([
      { key: 'iterations', values: [2, 9] },
      { key: 'seed', values: [1, 2] },
    ]);
    const report = RunFolder.open(at('whole')).metrics().at(-1)!;
    expect(robustMeanIoU).toEqual([report.robustMeanIoU, report.robustMeanIoU]);
    expect(cases.map(({ name }) => name)).toEqual(['all', 'rgb missing', 'depth missing']);
    expect(cases[0]!.classes).toHaveLength(13);
    expect(cases[0]!.classes[11]!.IoU[0]).toBe(cases[0]!.classes[11]!.IoU[1]);
  });

  it('05 are shown as far as they can be read', () => {
    const { runs: compared, settings } = compareRunFolders([
      at('whole'),
      at('newer-key'),
      at('cut'),
    ]);
    expect(compared[1]!.problem).toMatch(/futureKey/);
    expect(settings.find(({ key }) => key === 'futureKey')!.values).toEqual([null, 3, null]);
    expect(compared[2]!.problem).toMatch(/config\.yaml/);
    expect(() => compareRunFolders([at('whole')])).toThrow(/two or more/);
    expect(() => compareRunFolders([at('whole'), at('no-config')])).toThrow(/no config\.yaml/);
  });

  it('06 on the command line', async () => {
    const { stdout, code } = await m3l(['compare', at('whole'), at('stopped')]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^seed +1 +2$/m);
    expect(stdout).toMatch(/^robust +[\d.]+ +[\d.]+ +0\.0$/m);
    expect(stdout).toMatch(/^class 11 /m);
  });
});
