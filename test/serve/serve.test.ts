import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { readLabels } from 'm3l/data';
import { type ServeOptions, type Server, serve } from 'm3l/serve';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TinyRun, tinyRun } from '../helpers/tiny-run.js';

let tiny: TinyRun;
let server: Server;
const logged: string[] = [];

beforeAll(async () => {
  tiny = await tinyRun();
  server = await serve(tiny.run, {
    port: 0,
    maxBytes: 200_000,
    maxPixels: 20_000,
    maxItems: 4,
    uploadSeconds: 2,
    hosts: ['camera.example'],
    cors: ['https://page.example'],
    log: (text) => logged.push(text),
  });
}, 180_000);
afterAll(async () => {
  await server.close();
  tiny.remove();
});

type Parts = Record<string, Uint8Array | string>;

function form(parts: Parts): FormData {
  const made = new FormData();
  for (const [name, part] of Object.entries(parts)) {
    if (typeof part === 'string') made.set(name, part);
    else made.set(name, new Blob([new Uint8Array(part)]), 'image');
  }
  return made;
}

const post = (path: string, parts: Parts, headers: Record<string, string> = {}) =>
  fetch(`${server.url}${path}`, { method: 'POST', body: form(parts), headers });

const raw = (path: string, body: Uint8Array, type = 'image/png') =>
  fetch(`${server.url}${path}`, {
    method: 'POST',
    body: new Uint8Array(body),
    headers: { 'content-type': type },
  });

/** Status and code of an answer that must be an error of the one shape. */
async function refusal(answer: Response | Promise<Response>): Promise<[number, string, string]> {
  const { status, json } = await Promise.resolve(answer).then(async (found) => ({
    status: found.status,
    json: (await found.json()) as { error: { code: string; message: string } },
  }));
  expect(Object.keys(json)).toEqual(['error']);
  expect(Object.keys(json.error)).toEqual(['code', 'message']);
  return [status, json.error.code, json.error.message];
}

const codesOf = async (answer: Response | Promise<Response>) => (await refusal(answer)).slice(0, 2);

/** As `fetch`, with headers that it would not send. */
async function asking(headers: Record<string, string>, path = '/model'): Promise<number> {
  const asked = httpRequest(`${server.url}${path}`, { headers });
  asked.end();
  const [answer] = await once(asked, 'response');
  answer.resume();
  return answer.statusCode;
}

describe('what it answers', () => {
  test('01 the same classes as palette, raw bytes and probabilities', async () => {
    const images = { rgb: tiny.image('rgb'), depth: tiny.image('depth') };
    const palette = await post('/predict', images);
    expect(palette.headers.get('content-type')).toBe('image/png');
    const file = join(tiny.folder, 'served.png');
    writeFileSync(file, Buffer.from(await palette.arrayBuffer()));
    const { data } = await readLabels(file);
    const classes = await post('/predict', images, { accept: 'application/octet-stream' });
    expect(classes.headers.get('x-m3l-width')).toBe('52');
    expect(classes.headers.get('x-m3l-height')).toBe('36');
    const bytes = new Uint8Array(await classes.arrayBuffer());
    expect(bytes).toEqual(new Uint8Array(data));
    const npy = Buffer.from(
      await (await post('/predict?output=probabilities', images)).arrayBuffer(),
    );
    expect(npy.toString('latin1', 10, 128)).toMatch(/'shape': \(13, 36, 52\)/);
    const start = 10 + npy.readUInt16LE(8);
    expect(start % 64).toBe(0);
    const of = (k: number) => npy.readFloatLE(start + 4 * (k * 36 * 52 + 100));
    const best = [...Array(13).keys()].reduce((most, k) => (of(k) > of(most) ? k : most), 0);
    expect(best).toBe(bytes[100]);
  });

  test('02 from any subset of the modalities, as parts or as the body', async () => {
    const depth = tiny.image('depth');
    const parts = await post('/predict?output=classes', { depth });
    expect(parts.headers.get('x-m3l-missing')).toBe('rgb');
    const body = await raw('/predict?output=classes&modality=depth', depth);
    expect(await body.arrayBuffer()).toEqual(await parts.arrayBuffer());
    const summary = await (await post('/predict?output=json', { depth })).json();
    expect(summary).toMatchObject({ width: 52, height: 36, missing: ['rgb'] });
    const overlay = await post('/predict?output=overlay', { depth });
    const { channels } = await sharp(await overlay.arrayBuffer()).metadata();
    expect(channels).toBe(3);
    // A form's field for a file that nobody chose is a sensor that gave nothing.
    const empty = new FormData();
    empty.set('rgb', new File([], ''));
    empty.set('depth', new Blob([new Uint8Array(depth)]));
    const chosen = await fetch(`${server.url}/predict`, { method: 'POST', body: empty });
    expect(chosen.headers.get('x-m3l-missing')).toBe('rgb');
  });

  test('03 several scenes at once, of which a bad one fails alone', async () => {
    const bad = tiny.image('rgb').subarray(0, 99);
    const answer = await post('/predict/batch', {
      '0.rgb': tiny.image('rgb'),
      '0.depth': tiny.image('depth'),
      '1.rgb': bad,
      '3.depth': tiny.image('depth', 1),
    });
    const { items } = (await answer.json()) as { items: Record<string, unknown>[] };
    expect(items.map(({ missing, error }) => missing ?? (error as { code: string }).code)).toEqual([
      [],
      'M3L_IMAGE_CORRUPT',
      'M3L_DATA_OPTIONS',
      ['rgb'],
    ]);
    const single = await post('/predict', { depth: tiny.image('depth', 1) });
    const { data, type } = items[3] as { data: string; type: string };
    expect(type).toBe('image/png');
    expect(Buffer.from(data, 'base64')).toEqual(Buffer.from(await single.arrayBuffer()));
  });

  test('04 what there is: model, health, metrics, OpenAPI', async () => {
    const get = async (path: string) => (await fetch(`${server.url}${path}`)).json();
    expect(await get('/health')).toEqual({ status: 'ok' });
    expect(await get('/ready')).toEqual({ status: 'ready' });
    const model = (await get('/model')) as { modalities: unknown; classes: unknown[] };
    expect(model.modalities).toEqual([
      { name: 'rgb', kind: 'rgb' },
      { name: 'depth', kind: 'depth' },
    ]);
    expect(model.classes).toHaveLength(13);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/^m3l_requests_total\{route="\/predict",status="200"\} \d+$/m);
    expect(metrics).toMatch(/^m3l_missing_modality_total\{modality="rgb"\} \d+$/m);
    expect(metrics).toMatch(/^m3l_waiting_predictions 0$/m);
    for (const line of metrics.trim().split('\n')) {
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{.*\})? [\d.e+-]+)$/);
    }
    const document = (await get('/openapi.json')) as { paths: Record<string, unknown> };
    expect(Object.keys(document.paths)).toHaveLength(7);
    const references = [...JSON.stringify(document).matchAll(/"#\/([\w/]+)"/g)];
    expect(references.length).toBeGreaterThan(5);
    for (const [, path] of references) {
      const target = path!.split('/').reduce<unknown>((at, key) => (at as never)?.[key], document);
      expect(target, path).toBeTypeOf('object');
    }
  });
});

describe('what it refuses', () => {
  test('05 names, queries and types that there are not', async () => {
    const rgb = tiny.image('rgb');
    const [status, code, message] = await refusal(post('/predict', { rbg: rgb }));
    expect([status, code]).toEqual([400, 'M3L_MISSING_MODALITY']);
    expect(message).toMatch(/Did you mean 'rgb'/);
    expect((await refusal(raw('/predict?modality=dept', rgb)))[2]).toMatch(/mean 'depth'/);
    expect((await refusal(raw('/predict', rgb)))[2]).toMatch(/modality= one of rgb, depth/);
    expect((await refusal(post('/predict?outptu=json', { rgb })))[2]).toMatch(/mean 'output'/);
    expect((await refusal(post('/predict?output=palete', { rgb })))[2]).toMatch(/mean 'palette'/);
    expect((await refusal(post('/predict', { rgb: 'rgb.png' })))[2]).toMatch(/-F rgb=@/);
    expect(await codesOf(post('/predict', {}))).toEqual([400, 'M3L_DATA_OPTIONS']);
    const twice = form({ rgb });
    twice.append('rgb', new Blob([new Uint8Array(rgb)]));
    expect(await codesOf(fetch(`${server.url}/predict`, { method: 'POST', body: twice }))).toEqual([
      400,
      'M3L_HTTP_BODY',
    ]);
    const accept = post('/predict', { rgb }, { accept: 'text/html' });
    expect(await codesOf(accept)).toEqual([406, 'M3L_HTTP_ACCEPT']);
    expect(await codesOf(raw('/predict', rgb, 'text/plain'))).toEqual([415, 'M3L_HTTP_BODY']);
    expect(await codesOf(fetch(`${server.url}/..%2f..%2fetc/passwd`))).toEqual([
      404,
      'M3L_HTTP_NOT_FOUND',
    ]);
    expect(await codesOf(fetch(`${server.url}/predict`))).toEqual([404, 'M3L_HTTP_NOT_FOUND']);
  });

  test('06 images that are none, or odd', async () => {
    const rgb = tiny.image('rgb');
    const huge = Buffer.from(rgb);
    huge.writeUInt32BE(60_000, 16);
    huge.writeUInt32BE(60_000, 20);
    const none = Buffer.from(rgb);
    none.writeUInt32BE(0, 16);
    const sent = async (image: Uint8Array, name = 'rgb') =>
      codesOf(raw(`/predict?modality=${name}`, image));
    expect(await sent(huge)).toEqual([413, 'M3L_IMAGE_PIXELS']);
    expect(await sent(none)).toEqual([400, 'M3L_IMAGE_CORRUPT']);
    expect(await sent(rgb.subarray(0, rgb.length - 20))).toEqual([400, 'M3L_IMAGE_CORRUPT']);
    expect(await sent(Buffer.from('<svg xmlns="x"/>'))).toEqual([400, 'M3L_IMAGE_FORMAT']);
    expect(await sent(rgb, 'depth')).toEqual([400, 'M3L_IMAGE_FORMAT']);
    const frames = await sharp(
      await Promise.all([0, 1].map((scene) => sharp(tiny.image('rgb', scene)).toBuffer())),
      { join: { animated: true } },
    )
      .webp()
      .toBuffer();
    expect(await sent(frames)).toEqual([400, 'M3L_IMAGE_FORMAT']);
    // These are images: CMYK by its profile, 16 bits, another size than the crop's multiples.
    const cmyk = await sharp(rgb).toColourspace('cmyk').jpeg().toBuffer();
    const wide = await sharp(rgb).toColourspace('rgb16').png().toBuffer();
    const odd = await sharp(rgb).resize(1, 7).png().toBuffer();
    for (const image of [cmyk, wide, odd]) {
      expect((await raw('/predict?modality=rgb', image)).status).toBe(200);
    }
    const depth = await sharp(tiny.image('depth')).resize(20, 20).png().toBuffer();
    const apart = codesOf(post('/predict', { rgb, depth }));
    expect(await apart).toEqual([400, 'M3L_SIZE_MISMATCH']);
  });

  test('07 more than its limits, before it is read', async () => {
    const large = new Uint8Array(300_000);
    expect(await codesOf(post('/predict', { rgb: large }))).toEqual([413, 'M3L_HTTP_LARGE']);
    expect(await codesOf(raw('/predict?modality=rgb', large))).toEqual([413, 'M3L_HTTP_LARGE']);
    const rgb = tiny.image('rgb');
    const items = codesOf(post('/predict/batch', { '4.rgb': rgb }));
    expect(await items).toEqual([413, 'M3L_HTTP_LARGE']);
    const parts = Object.fromEntries([...Array(9).keys()].map((i) => [`0.x${i}`, rgb]));
    expect((await refusal(post('/predict/batch', parts)))[0]).toBe(400);
  });

  test('08 other names of the server, pages of other origins; but for those that are named', async () => {
    expect(await asking({ host: 'localhost' })).toBe(200);
    expect(await asking({ host: '[::1]:1' })).toBe(200);
    expect(await asking({ host: 'camera.example:80' })).toBe(200);
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', ' ']) {
      expect(await asking({ host }), host).toBe(403);
    }
    const own = server.url;
    expect(await asking({ origin: own })).toBe(200);
    for (const origin of ['https://evil.example', 'null', 'http://localhost:1']) {
      expect(await asking({ origin }), origin).toBe(403);
    }
    expect(await asking({ 'sec-fetch-site': 'cross-site' })).toBe(403);
    const page = { origin: 'https://page.example' };
    const allowed = await post('/predict', { rgb: tiny.image('rgb') }, page);
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://page.example');
    const preflight = await fetch(`${own}/predict`, { method: 'OPTIONS', headers: page });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-methods')).toBe('GET, POST');
  });

  test('09 requests that do not arrive, or are none, and goes on', async () => {
    const said = async (text: string) => {
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
      socket.write(text);
      let answer = '';
      socket.on('data', (data) => {
        answer += data;
      });
      await once(socket, 'close');
      return answer;
    };
    const head = 'POST /predict?modality=rgb HTTP/1.1\r\nHost: localhost\r\n';
    const slow = `${head}Content-Type: image/png\r\nContent-Length: 1000\r\n\r\nabc`;
    const [late, nonsense] = await Promise.all([said(slow), said('GET nonsense\r\n\r\n')]);
    expect(late).toMatch(/^HTTP\/1\.1 408 [\s\S]*M3L_HTTP_TIMEOUT/);
    expect(nonsense).toMatch(/^HTTP\/1\.1 400 [\s\S]*"error"/);
    // Dropped in the midst of a part.
    const dropped = connect(Number(new URL(server.url).port), '127.0.0.1');
    dropped.write(
      `POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n` +
        'Content-Length: 5000\r\n\r\n--x\r\nContent-Disposition: form-data; name="rgb"; filename="a"\r\n\r\nabc',
      () => dropped.destroy(),
    );
    await once(dropped, 'close');
    const cut = fetch(`${server.url}/predict`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
      body: '--x\r\nContent-Disposition: form-data; name="rgb"; filename="a"\r\n\r\nabc',
    });
    expect(await codesOf(cut)).toEqual([400, 'M3L_HTTP_BODY']);
    expect((await post('/predict', { rgb: tiny.image('rgb') })).status).toBe(200);
    expect(logged).toEqual([]);
  });
});

test('10 keeps nothing of a request', async () => {
  const bytes = async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return Number(/^m3l_tensor_bytes (\d+)$/m.exec(text)![1]);
  };
  const ask = async (scene: number) => {
    const images = { rgb: tiny.image('rgb', scene), depth: tiny.image('depth', scene) };
    const outputs = ['palette', 'overlay', 'probabilities'];
    const asked = outputs.map((output) => post(`/predict?output=${output}`, images));
    await Promise.all(asked.map(async (answer) => (await answer).arrayBuffer()));
    await raw('/predict?modality=rgb', images.rgb.subarray(0, 200));
  };
  for (let i = 0; i < 10; i++) await ask(i % 3);
  const before = await bytes();
  expect(before).toBeGreaterThan(1e7);
  for (let i = 0; i < 50; i++) await ask(i % 3);
  expect(await bytes()).toBe(before);
});

describe('how it ends and what it bears', () => {
  const started = async (options: ServeOptions, use: (one: Server) => Promise<void>) => {
    const one = await serve(tiny.run, { port: 0, ...options });
    try {
      await use(one);
    } finally {
      await one.close();
    }
  };
  const ask = (one: Server, headers: Record<string, string> = {}) =>
    fetch(`${one.url}/predict`, {
      ...{ method: 'POST', body: form({ rgb: tiny.image('rgb') }), headers },
    });

  test('11 refuses what it cannot take in time, asks for keys, answers what is under way', async () => {
    const key = 'a-key-of-some-length';
    const bearer = { authorization: `Bearer ${key}` };
    const options = { maxQueue: 2, maxBatch: 1, keys: ['another-key-of-that', key] };
    let late!: Promise<number[]>;
    await started(options, async (one) => {
      expect(await codesOf(ask(one))).toEqual([401, 'M3L_HTTP_KEY']);
      expect(await codesOf(ask(one, { 'x-api-key': `${key}x` }))).toEqual([401, 'M3L_HTTP_KEY']);
      expect((await ask(one, { 'x-api-key': key })).status).toBe(200);
      expect((await fetch(`${one.url}/health`)).status).toBe(200);
      const many = await Promise.all(Array.from({ length: 12 }, () => ask(one, bearer)));
      const statuses = many.map(({ status }) => status);
      expect(new Set(statuses)).toEqual(new Set([200, 429]));
      const busy = many.find(({ status }) => status === 429)!;
      expect(busy.headers.get('retry-after')).toBe('1');
      expect((await refusal(busy))[1]).toMatch(/BUSY/);
      late = Promise.all([0, 1].map(async () => (await ask(one, bearer)).status));
      while (one.predictor.load.running === 0) await new Promise((done) => setImmediate(done));
      expect(await one.close()).toBe(true);
      await expect(fetch(`${one.url}/health`)).rejects.toThrow();
    });
    expect((await late).every((status) => status === 200 || status === 503)).toBe(true);
    expect(await late).toContain(200);
  });

  test('12 gives up after its time, and says where it cannot listen', async () => {
    await started({ answerSeconds: 0.001 }, async (one) => {
      expect(await codesOf(ask(one))).toEqual([503, 'M3L_HTTP_TIMEOUT']);
      const port = Number(new URL(one.url).port);
      await expect(serve(tiny.run, { port })).rejects.toMatchObject({ code: 'M3L_SERVE_LISTEN' });
    });
    await expect(serve(tiny.run, { prot: 1 } as never)).rejects.toThrow(/prot/);
    // A timer of Node's that is told more than 24 days is over at once.
    for (const name of ['uploadSeconds', 'answerSeconds', 'hangSeconds', 'graceSeconds']) {
      await expect(serve(tiny.run, { [name]: 1e7 })).rejects.toThrow(`${name}, expected`);
    }
  });
});
