// Requests to `m3l serve` that are broken in one way or several, by the thousand: each must be answered by a
// status of 200 to 499 with an error of the one shape, or the connection closed, and the server must then answer
// a good one. node scripts/fuzz-serve.mjs RUN IMAGE [--seed 1] [--cases 1000]
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import { Random } from '../dist/data/index.js';
import { serve } from '../dist/serve/index.js';

const BOUNDARY = 'fuzz';
/** Milliseconds that a case may take; the server cuts off what does not arrive in half of it. */
const LONGEST = 20_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    cases: { type: 'string', default: '1000' },
  },
});
const [run, image] = positionals;
const random = new Random(Number(values.seed));
const below = (count) => Math.floor(random.uniform(0, count));
const pick = (list) => list[below(list.length)];
const good = readFileSync(image);

const failures = [];
const server = await serve(run, {
  ...{ port: 0, maxPixels: 2 ** 16, maxBytes: 1 << 20, uploadSeconds: 1 },
  log: (text) => failures.push(`logged: ${text}`),
});
const { port } = new URL(server.url);

function bytesOf(file) {
  if (below(2) === 0) return file;
  const bytes = Buffer.from(file);
  for (let i = below(6); i > 0; i--)
    bytes[below(Math.min(bytes.length, pick([64, 1e9])))] = below(256);
  return pick([
    bytes,
    bytes,
    bytes.subarray(0, below(bytes.length)),
    Buffer.alloc(below(300), below(256)),
  ]);
}

const name = () =>
  pick([
    'rgb',
    'depth',
    'rgb',
    '0.rgb',
    '1.depth',
    '9999.rgb',
    '__proto__',
    'constructor',
    '',
    '../x',
    'r\u00e9b',
    'x'.repeat(300),
  ]);

function multipart() {
  const parts = Array.from({ length: below(5) }, () => [
    Buffer.from(
      pick([
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name()}"; filename="${name()}"\r\n\r\n`,
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name()}"\r\n\r\n`,
        `--${BOUNDARY}\r\nContent-Disposition: ${name()}\r\nContent-Type: ${name()}\r\n\r\n`,
        `--${BOUNDARY}\r\n`,
      ]),
    ),
    bytesOf(good),
    Buffer.from(pick(['\r\n', '\r\n', '\n', ''])),
  ]).flat();
  return Buffer.concat([...parts, Buffer.from(pick([`--${BOUNDARY}--\r\n`, '', '--']))]);
}

/** The bytes of a request. */
function requestOf() {
  const body = pick([multipart, multipart, () => bytesOf(good)])();
  const length = pick([
    body.length,
    body.length,
    body.length,
    body.length + 9,
    below(99),
    -1,
    'x',
    2 ** 40,
  ]);
  const query = pick([
    '',
    '?modality=rgb',
    '?modality=rgb',
    '?output=json',
    '?output=%00',
    '?modality=__proto__',
    '?output=json&output=json',
    '?%',
  ]);
  const lines = [
    `${pick(['POST', 'POST', 'POST', 'POST', 'PUT', 'GET', 'OPTIONS', 'BREW'])} ${pick(['/predict', '/predict', '/predict/batch', '/model', '/%2e%2e/', `/${'a'.repeat(below(3000))}`])}${query} HTTP/${pick(['1.1', '1.1', '1.1', '1.0', '9'])}`,
    `Host: ${pick(['localhost', 'localhost', 'localhost', 'evil.example', ''])}`,
    `Content-Type: ${pick([`multipart/form-data; boundary=${BOUNDARY}`, `multipart/form-data; boundary=${BOUNDARY}`, 'multipart/form-data', 'image/png', 'image/png', 'application/json', ''])}`,
    pick([
      `Content-Length: ${length}`,
      `Content-Length: ${length}`,
      'Transfer-Encoding: chunked',
      `Accept: ${name()}`,
    ]),
    'Connection: close',
  ];
  const chunked = lines.some((line) => line.startsWith('Transfer'));
  const sent = chunked
    ? Buffer.concat([
        Buffer.from(`${body.length.toString(16)}\r\n`),
        body,
        Buffer.from(pick(['\r\n0\r\n\r\n', '\r\n', 'zz'])),
      ])
    : body;
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), sent]);
}

/** What came back; '' where the connection was closed without. */
function ask(request, drop) {
  return new Promise((resolve) => {
    const socket = connect(Number(port), '127.0.0.1');
    let answer = '';
    const timer = setTimeout(() => {
      answer = 'no answer';
      socket.destroy();
    }, LONGEST);
    socket.setEncoding('latin1');
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(answer);
    });
    if (drop) socket.write(request.subarray(0, below(request.length)), () => socket.destroy());
    else socket.write(request);
  });
}

function faultOf(answer) {
  if (answer === '') return null;
  const [, status, type] = /^HTTP\/1\.1 (\d{3}) [\s\S]*?content-type: ([^\r]*)/i.exec(answer) ?? [];
  if (status === undefined)
    return /^HTTP\/1\.1 (100|204) /.test(answer) ? null : answer.slice(0, 200);
  if (status.startsWith('5') && status !== '503') return answer.slice(0, 300);
  if (status < 400) return null;
  const body = /\{.*\}/s.exec(answer)?.[0] ?? '';
  try {
    const { error } = JSON.parse(body);
    if (typeof error.code === 'string' && typeof error.message === 'string') return null;
  } catch {}
  return `${type}: ${answer.slice(0, 300)}`;
}

const counts = {};
const cases = Number(values.cases);
for (let done = 0; done < cases; done += 16) {
  const batch = Array.from({ length: Math.min(16, cases - done) }, () => {
    const request = requestOf();
    return { request, answer: ask(request, below(10) === 0) };
  });
  for (const { request, answer } of batch) {
    const found = await answer;
    const status = /^HTTP\/1\.1 (\d{3})/.exec(found)?.[1] ?? 'closed';
    counts[status] = (counts[status] ?? 0) + 1;
    const fault = faultOf(found);
    if (fault !== null)
      failures.push(`${JSON.stringify(request.toString('latin1', 0, 400))}\n  ${fault}`);
  }
}
const last = await fetch(`${server.url}/predict?modality=rgb`, {
  ...{ method: 'POST', body: good, headers: { 'content-type': 'image/png' } },
});
if (last.status !== 200) failures.push(`a good request was answered ${last.status}`);
const { waiting, running } = server.predictor.load;
if (waiting + running > 0) failures.push(`${waiting} wait and ${running} run when all is answered`);
await server.close();
console.log(
  JSON.stringify(
    { cases, seed: Number(values.seed), counts, failures: failures.slice(0, 20) },
    null,
    2,
  ),
);
process.exitCode = failures.length === 0 ? 0 : 1;
