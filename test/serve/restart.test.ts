import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as later } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Server, serve } from 'm3l/serve';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { main } from '../cli/m3l.js';
import { type TinyRun, tinyRun } from '../helpers/tiny-run.js';
import { startView } from '../helpers/view-server.js';

const doomed = fileURLToPath(new URL('../fixtures/doomed-thread.cjs', import.meta.url));
let tiny: TinyRun;

beforeAll(async () => {
  tiny = await tinyRun();
  vi.stubEnv('NODE_OPTIONS', `--require ${doomed}`);
}, 180_000);
afterAll(() => {
  vi.unstubAllEnvs();
  tiny.remove();
});

/** Has the model's thread die, or hang: in this moment, or when it is next asked. */
async function kill(how: 'exit' | 'throw' | 'asked' | 'hang'): Promise<void> {
  const channel = new BroadcastChannel('doomed thread');
  const heard = once(channel as unknown as EventTarget, 'message');
  channel.postMessage(how);
  await heard;
  channel.close();
}

const predict = (server: Pick<Server, 'url'>) =>
  fetch(`${server.url}/predict?modality=rgb&output=classes`, {
    ...{ method: 'POST', headers: { 'content-type': 'image/png' } },
    body: new Uint8Array(tiny.image('rgb')),
  });

async function ready({ url }: Server): Promise<[status: number, message: string]> {
  const answer = await fetch(`${url}/ready`);
  const { error } = (await answer.json()) as { error?: { code: string; message: string } };
  return [answer.status, error === undefined ? '' : `${error.code} ${error.message}`];
}

/** @throws after 20 s */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const start = performance.now(); !(await holds()); await later(20)) {
    if (performance.now() - start > 20_000) throw new Error('it did not come to hold');
  }
}

const restarts = async ({ url }: Server) => {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^m3l_model_restarts_total (\d+)$/m.exec(text)?.[1]);
};

test('01 a thread that dies fails what it was asked, and another answers after it', async () => {
  const logged: string[] = [];
  const server = await serve(tiny.run, { port: 0, log: (text) => logged.push(text) });
  try {
    const classes = new Uint8Array(await (await predict(server)).arrayBuffer());
    expect(await restarts(server)).toBe(0);
    await kill('asked');
    const failed = await predict(server);
    expect([failed.status, failed.headers.get('retry-after')]).toEqual([503, '1']);
    const { error } = (await failed.json()) as { error: object };
    const message = expect.stringMatching(/stopped \(exit code 3\); another is started in 0\.5 s/);
    expect(error).toEqual({ code: 'M3L_WORKER_DIED', message });
    expect(await ready(server)).toEqual([503, expect.stringMatching(/^M3L_WORKER_DIED.*code 3/)]);
    expect((await predict(server)).status).toBe(503);
    await until(async () => (await ready(server))[0] === 200);
    expect(new Uint8Array(await (await predict(server)).arrayBuffer())).toEqual(classes);

    // Nobody asks it at that moment.
    await kill('throw');
    await until(async () => (await ready(server))[0] === 503);
    expect((await ready(server))[1]).toMatch(/a fault of a native call.*started in 1 s/);
    await until(async () => (await ready(server))[0] === 200);
    expect((await predict(server)).status).toBe(200);
    expect(await restarts(server)).toBe(2);
    expect(logged).toHaveLength(2);
    expect(server.predictor.alive).toBe(true);
  } finally {
    await server.close();
  }
});

test('02 one that dies too often, or cannot be started, stays dead and says so', async () => {
  const server = await serve(tiny.run, { port: 0, restarts: 2 });
  const moved = `${tiny.run}-moved`;
  try {
    renameSync(tiny.run, moved);
    await kill('exit');
    await until(async () => /could not be started.*in 1 s/.test((await ready(server))[1]));
    const failed = await server.failed;
    expect(failed).toMatchObject({ code: 'M3L_WORKER_DIED' });
    expect(failed.message).toMatch(/so did 2 before it within 10 minutes, expected at most 2/);
    expect((await ready(server))[0]).toBe(503);
    expect((await predict(server)).headers.get('retry-after')).toBe('1');
    expect(await restarts(server)).toBe(2);
  } finally {
    renameSync(moved, tiny.run);
    await server.close();
  }
});

test('03 the program ends then, with 1', async () => {
  const child = spawn(
    process.execPath,
    [main, 'serve', tiny.run, '--port', '0', '--restarts', '0', '--json'],
    { env: { ...process.env, OMP_NUM_THREADS: '1' } },
  );
  const ended = once(child, 'close');
  const [told, said] = [text(child.stdout), text(child.stderr)];
  // It is told where it listens.
  child.stdout.once('data', () => child.kill('SIGUSR2'));
  expect(await ended).toEqual([1, null]);
  expect(await told).toMatch(/"code": "M3L_WORKER_DIED"/);
  expect(await said).toMatch(/^m3l: the model's thread .*code 3.* \[M3L_WORKER_DIED\]$/m);
});

test('04 a thread that hangs is ended, fails what it was asked, and another answers after it', async () => {
  const logged: string[] = [];
  const log = (text: string) => logged.push(text);
  const server = await serve(tiny.run, { port: 0, hangSeconds: 1, log });
  try {
    const classes = new Uint8Array(await (await predict(server)).arrayBuffer());
    await kill('hang');
    const start = performance.now();
    const asked = [predict(server), later(300).then(() => predict(server))];
    for (const answer of asked) {
      const { status, headers } = await answer;
      expect([status, headers.get('retry-after')]).toEqual([503, '1']);
    }
    expect(performance.now() - start).toBeLessThan(5000);
    const [status, message] = await ready(server);
    expect(status).toBe(503);
    expect(message).toMatch(/^M3L_WORKER_DIED .*no sign of life for 1 s.*started in 0\.5 s/);
    await until(async () => (await ready(server))[0] === 200);
    expect(new Uint8Array(await (await predict(server)).arrayBuffer())).toEqual(classes);
    expect([await restarts(server), logged.length]).toEqual([1, 1]);
  } finally {
    await server.close();
  }
}, 60_000);

test('05 one that hangs in a native call ends the program, which says so', async () => {
  const child = spawn(process.execPath, [main, 'serve', tiny.run, '--port', '0', '--hang', '1'], {
    env: { ...process.env, OMP_NUM_THREADS: '1', M3L_TEST_DEATH: 'stick' },
  });
  const ended = once(child, 'close');
  const said = text(child.stderr);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  child.kill('SIGUSR2');
  await later(500);
  const url = /http:\S+/.exec(String(line))![0];
  expect((await predict({ url })).status).toBe(503);
  expect((await fetch(`${url}/ready`)).status).toBe(503);
  expect(await ended).toEqual([null, 'SIGKILL']);
  expect(await said).toMatch(/hangs in a native call.*kill -9.*\[M3L_WORKER_STUCK\]$/m);
}, 60_000);

test('06 m3l view opens the network anew where its thread died', async () => {
  const { NODE_OPTIONS } = process.env;
  const view = await startView([tiny.run], tiny.folder, { NODE_OPTIONS });
  const asked = async (query: string) =>
    (await fetch(`${view.url}/api/runs/run/scenes/0/prediction${query}`)).status;
  try {
    expect(await asked('')).toBe(200);
    view.child.kill('SIGUSR2');
    await later(500);
    // What was answered is kept: another question goes to the network.
    await until(async () => (await asked('?without=depth')) === 200);
  } finally {
    await view.end();
  }
});
