import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Config,
  checkConfig,
  findCheckpoint,
  RunFolder,
  resumeConfig,
  type TrainEvent,
  train,
} from 'm3l/experiment';
import { writeRooms } from 'm3l/rooms';
import { PbfReader } from 'pbf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maskedCrc } from '../../dist/experiment/logging/event-file.js';

let folder: string;
let server: Awaited<ReturnType<typeof mlflowServer>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-logging-'));
  const counts = { labelled: 2, unlabelled: 1, val: 1 };
  await writeRooms(join(folder, 'rooms'), { ...counts, width: 48, height: 36, workers: 0 });
  server = await mlflowServer();
});

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function tiny(logging: string | string[]): Config {
  return checkConfig({
    data: {
      root: join(folder, 'rooms'),
      classes: 13,
      lists: { labelled: 'train_labelled.txt', val: 'val.txt' },
      crop: 32,
      evaluationSize: [36, 48],
    },
    framework: 'supervised',
    model: { backbone: 'mit-b0' },
    iterations: 4,
    batch: { labelled: 1 },
    evaluate: { every: 2, samples: 1 },
    threads: 1,
    workers: 0,
    logging,
  });
}

const create = (name: string, config: Config) => RunFolder.create(config, join(folder, name));

const weights = (run: RunFolder) =>
  readFileSync(join(findCheckpoint(run.checkpoints, 'latest')!, 'model.safetensors'), 'base64');

/** Trains; where `stop` is given only so far. Gives the notes. */
async function trained(config: Config, run: RunFolder, stop?: number): Promise<string[]> {
  const notes: string[] = [];
  const controller = new AbortController();
  const onEvent = (event: TrainEvent) => {
    if (event.kind === 'note' && event.text.startsWith('logging')) notes.push(event.text);
    if (event.kind === 'step' && event.iteration === stop) controller.abort();
  };
  const resume = existsSync(run.configFile);
  await train({ config, run, resume, check: false, signal: controller.signal, onEvent }).catch(
    (error) => {
      if (error.code !== 'M3L_INTERRUPTED') throw error;
    },
  );
  return notes;
}

interface Request {
  method: string;
  what: string;
  body: Record<string, unknown>;
  authorization: string | undefined;
}

/** A server that checks requests as MLflow's documentation has them, and answers as that has it. */
async function mlflowServer(answer: (request: Request) => number = () => 200) {
  const requests: Request[] = [];
  const runs = new Map<string, string>();
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => {
      text += part;
    });
    request.on('end', () => {
      const { pathname } = new URL(request.url!, 'http://localhost');
      const { method = '', headers } = request;
      const what = pathname.replace('/mlflow-behind/api/2.0/mlflow/', '');
      const body = text === '' ? {} : JSON.parse(text);
      const asked = { method, what, body, authorization: headers.authorization };
      requests.push(asked);
      const status = answer(asked);
      const made = `run-${runs.size + 1}`;
      if (what === 'runs/create' && status === 200) runs.set(made, 'RUNNING');
      if (what === 'runs/update' && status === 200) runs.set(body.run_id, body.status);
      const none =
        what === 'experiments/get-by-name' ||
        (what !== 'runs/create' && body.run_id && !runs.has(body.run_id));
      response.statusCode = status === 200 && none ? 404 : status;
      response.end(
        JSON.stringify(
          what === 'experiments/create'
            ? { experiment_id: '7' }
            : what === 'runs/create'
              ? { run: { info: { run_id: made } } }
              : {},
        ),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const address = `http://user:p%40ss@127.0.0.1:${port}/mlflow-behind/`;
  const close = () => new Promise((resolve) => server.close(resolve).closeAllConnections());
  return { requests, runs, address, close };
}

async function withServer<Result>(address: string, work: () => Promise<Result>): Promise<Result> {
  process.env.MLFLOW_TRACKING_URI = address;
  try {
    return await work();
  } finally {
    delete process.env.MLFLOW_TRACKING_URI;
  }
}

function stepsOfLoss(requests: readonly Request[]) {
  return requests
    .flatMap(({ body }) => (body.metrics ?? []) as { key: string; step: number }[])
    .filter(({ key }) => key === 'train/loss')
    .map(({ step }) => step);
}

interface ReadEvent {
  step: number;
  scalars: Record<string, number>;
  other: string[];
}

/** The events of a file, each checked by its CRCs. */
function eventsIn(file: string): ReadEvent[] {
  const bytes = readFileSync(file);
  const events: ReadEvent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(bytes.readUInt32LE(at + 8)).toBe(maskedCrc(bytes.subarray(at, at + 8)));
    const event = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(maskedCrc(event));
    events.push(eventIn(event));
    at += length + 16;
  }
  return events;
}

function eventIn(bytes: Uint8Array): ReadEvent {
  const event: ReadEvent = { step: 0, scalars: {}, other: [] };
  new PbfReader(bytes).readFields((tag, found, pbf) => {
    if (tag === 2) found.step = pbf.readVarint();
    if (tag === 3) found.other.push(pbf.readString());
    if (tag === 7) found.other.push('start');
    if (tag !== 5) return;
    pbf.readMessage((_, summary, inner) => {
      const value = { tag: '', number: Number.NaN };
      inner.readMessage((field, one, last) => {
        if (field === 1) one.tag = last.readString();
        if (field === 2) one.number = last.readFloat();
      }, value);
      if (Number.isNaN(value.number)) summary.other.push(value.tag);
      else summary.scalars[value.tag] = value.number;
    }, found);
  }, event);
  return event;
}

const eventFiles = (run: RunFolder) =>
  readdirSync(join(run.path, 'tensorboard'))
    .sort()
    .map((name) => join(run.path, 'tensorboard', name));

const table = (run: RunFolder, name: string) =>
  readFileSync(join(run.path, 'csv', `${name}.csv`), 'utf8')
    .trimEnd()
    .split('\n');

describe('loggers', () => {
  it('01 name themselves in the configuration, one or several', () => {
    expect(tiny('csv').logging).toEqual(['csv']);
    expect(checkConfig({ ...tiny([]), logging: undefined }).logging).toEqual([]);
    expect(() => tiny('wandb')).toThrow(/logging.*csv.*tensorboard.*mlflow/s);
  });

  it('02 change nothing, and a run that was stopped goes on in them', async () => {
    const plain = create('plain', tiny([]));
    await trained(tiny([]), plain);
    const config = tiny(['csv', 'tensorboard']);
    const whole = create('whole', config);
    await trained(config, whole);
    const all = tiny(['csv', 'tensorboard', 'mlflow']);
    const stopped = create('stopped', all);
    expect(await withServer(server.address, () => trained(all, stopped, 3))).toEqual([]);
    expect(server.runs).toEqual(new Map([['run-1', 'KILLED']]));
    // What a kill leaves: steps after the checkpoint, and half a record.
    const [first] = eventFiles(stopped);
    const bytes = readFileSync(first!);
    appendFileSync(first!, bytes.subarray(bytes.length - 20));
    appendFileSync(join(stopped.path, 'csv', 'train.csv'), '9,1.5,');
    rmSync(join(stopped.checkpoints, 'step-0000003'), { recursive: true });
    await withServer(server.address, () => trained(all, stopped));
    expect(server.runs).toEqual(new Map([['run-1', 'FINISHED']]));
    expect(weights(whole)).toBe(weights(plain));
    expect(weights(stopped)).toBe(weights(plain));

    const iterations = (lines: string[]) => lines.slice(1).map((line) => line.split(',')[0]);
    expect(iterations(table(stopped, 'train'))).toEqual(['1', '2', '3', '4']);
    expect(table(stopped, 'train')[0]).toMatch(/^iteration,loss,parts\/sup,/);
    for (const name of ['train', 'evaluation']) {
      const widths = table(stopped, name).map((line) => line.split(',').length);
      expect(new Set(widths).size, name).toBe(1);
      expect(table(stopped, name)[0]).toBe(table(whole, name)[0]);
    }
    expect(table(stopped, 'evaluation')).toEqual(table(whole, 'evaluation'));

    expect(eventFiles(whole)).toHaveLength(1);
    expect(eventFiles(stopped)).toHaveLength(2);
    const steps = (run: RunFolder, tag: string) =>
      eventFiles(run)
        .flatMap(eventsIn)
        .filter(({ scalars, other }) => tag in scalars || other.includes(tag))
        .map(({ step }) => step);
    for (const run of [whole, stopped]) {
      expect(steps(run, 'train/loss')).toEqual([1, 2, 3, 4]);
      expect(steps(run, 'evaluation/robustMeanIoU')).toEqual([2, 4]);
      expect(steps(run, 'samples')).toEqual([2, 4]);
      expect(steps(run, 'meanIoU/student ensemble/rgb missing')).toEqual([2, 4]);
    }
    expect(steps(stopped, 'start')).toEqual([3]);
    expect(eventsIn(eventFiles(whole)[0]!)[0]!.other).toEqual(['brain.Event:2']);
    const report = whole.metrics().at(-1)!.robustMeanIoU as number;
    const last = eventsIn(eventFiles(whole)[0]!).findLast(
      ({ scalars }) => 'evaluation/robustMeanIoU' in scalars,
    );
    expect(last!.scalars['evaluation/robustMeanIoU']).toBe(Math.fround(report));
  });

  it('03 taken up later have what was logged before', async () => {
    const run = create('later', tiny([]));
    await trained(tiny([]), run, 2);
    const { config } = resumeConfig(run, undefined, ['logging=[csv, tensorboard, mlflow]']);
    const later = await mlflowServer();
    await withServer(later.address, () => trained(config, run));
    await later.close();
    expect(stepsOfLoss(later.requests)).toEqual([1, 2, 3, 4]);
    expect(table(run, 'train')).toHaveLength(5);
    const events = eventFiles(run).flatMap(eventsIn);
    const losses = events.filter(({ scalars }) => 'train/loss' in scalars);
    expect(losses.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
  });

  it('04 that cannot write, or whose server is away, are told of; training goes on', async () => {
    const away = await mlflowServer();
    await away.close();
    const config = tiny(['csv', 'tensorboard', 'mlflow']);
    const run = create('unwritable', config);
    mkdirSync(run.path);
    writeFileSync(join(run.path, 'csv'), 'in the way');
    const notes = await withServer(away.address, () => trained(config, run));
    expect(notes).toHaveLength(3);
    expect(notes[0]).toMatch(/csv stopped/);
    expect(notes[1]).toMatch(/mlflow: .*ECONNREFUSED.*Training goes on/);
    expect(notes[2]).toMatch(/mlflow did not take \d+ values/);
    expect(notes.join()).not.toContain('p%40ss');
    expect(existsSync(run.summaryFile)).toBe(true);
    expect(eventFiles(run)).toHaveLength(1);
  });

  it('05 of masked CRC-32C are right', () => {
    // RFC 3720, B.4: 32 bytes of zeros have the CRC 0x8a9136aa.
    const masked = (((0x8a9136aa >>> 15) | (0x8a9136aa << 17)) + 0xa282ead8) >>> 0;
    expect(maskedCrc(new Uint8Array(32))).toBe(masked);
  });
});

const reads = spawnSync('python3', ['-c', 'import tensorboard']).status === 0;
if (!reads) console.warn('event files read by tensorboard: skipped, Python has no tensorboard');

describe.skipIf(!reads)('tensorboard', () => {
  it('06 reads what was written', () => {
    const run = RunFolder.open(join(folder, 'whole'));
    const script = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0, 'images': 0, 'tensors': 0})
found.Reload()
image = found.Images('samples')[-1]
text = found.Tensors('configuration')[0].tensor_proto
print(json.dumps({
  'loss': [[e.step, e.value] for e in found.Scalars('train/loss')],
  'robust': [[e.step, e.value] for e in found.Scalars('evaluation/robustMeanIoU')],
  'image': [image.step, image.width, image.height, image.encoded_image_string.hex()],
  'text': text.string_val[0].decode(),
  'scalars': len(found.Tags()['scalars']),
}))`;
    const { stdout, stderr } = spawnSync('python3', ['-c', script, join(run.path, 'tensorboard')], {
      encoding: 'utf8',
    });
    expect(stdout, stderr).not.toBe('');
    const read = JSON.parse(stdout);
    const lines = run.metrics();
    const of = (kind: string, key: string) =>
      lines
        .filter((line) => line.kind === kind)
        .map((line) => [line.iteration, Math.fround(line[key] as number)]);
    expect(read.loss).toEqual(of('train', 'loss'));
    expect(read.robust).toEqual(of('evaluation', 'robustMeanIoU'));
    const png = readFileSync(run.samplesFile);
    expect(read.image).toEqual([
      4,
      png.readUInt32BE(16),
      png.readUInt32BE(20),
      png.toString('hex'),
    ]);
    expect(read.text).toContain('    framework:');
    expect(read.scalars).toBeGreaterThan(50);
  });
});

describe('mlflow', () => {
  it('07 gets a run with its parameters and metrics, and a resumed one goes on in it', () => {
    const { requests } = server;
    expect(requests[0]).toMatchObject({ method: 'GET', what: 'experiments/get-by-name' });
    const basic = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
    expect(requests.every(({ authorization }) => authorization === basic)).toBe(true);
    const created = requests.find(({ what }) => what === 'runs/create')!.body;
    expect(created).toMatchObject({ experiment_id: '7', run_name: 'stopped' });
    const batches = requests.filter(({ what }) => what === 'runs/log-batch');
    const all = (key: string) =>
      batches.flatMap(({ body }) => (body[key] ?? []) as Record<string, string | number>[]);
    const params = all('params');
    expect(params).toContainEqual({ key: 'framework.name', value: 'supervised' });
    expect(params.every(({ value }) => typeof value === 'string' && value.length <= 500)).toBe(
      true,
    );
    // The step that was lost with its checkpoint is told again.
    expect(stepsOfLoss(requests)).toEqual([1, 2, 3, 3, 4]);
    expect(all('metrics').every(({ value }) => Number.isFinite(value))).toBe(true);
    for (const { body } of batches) {
      expect(body.run_id).toBe('run-1');
      expect(((body.metrics ?? []) as unknown[]).length).toBeLessThanOrEqual(1000);
      expect(((body.params ?? []) as unknown[]).length).toBeLessThanOrEqual(100);
    }
  });

  it('08 that refuses is left alone', async () => {
    const { requests, address, close } = await mlflowServer(({ what }) =>
      what === 'runs/log-batch' ? 403 : 200,
    );
    const config = tiny('mlflow');
    const notes = await withServer(address, () => trained(config, create('refused', config)));
    await close();
    expect(notes.join()).toMatch(/answered 403.*nothing more is sent/);
    expect(requests.filter(({ what }) => what === 'runs/log-batch')).toHaveLength(1);
  });

  it('09 without an address is an error before anything is written', async () => {
    const config = tiny('mlflow');
    const run = create('unaddressed', config);
    for (const address of ['', 'sqlite:///runs.db', 'nowhere']) {
      await expect(withServer(address, () => train({ config, run }))).rejects.toMatchObject({
        code: 'M3L_LOGGING',
      });
    }
    expect(existsSync(run.path)).toBe(false);
  });
});
