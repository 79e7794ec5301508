// `m3l serve` under load by wrk: node bench/serve.mjs RUN RGB DEPTH [--requests 10000] [--connections 8]
// [--onnx] [--torch] [--json]. Each server gets the same requests, after a tenth of them that is not counted;
// what is lost or refused is counted, its memory looked at after each tenth, and its answer compared with ours.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readLabels } from '../dist/data/index.js';
import { peerProgram } from './peer.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const BOUNDARY = 'm3l-serve-load';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    requests: { type: 'string', default: '10000' },
    connections: { type: 'string', default: '8' },
    threads: { type: 'string', default: '2' },
    onnx: { type: 'boolean', default: false },
    torch: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const [run, rgb, depth] = positionals;
if (depth === undefined || spawnSync('wrk', ['-v']).error) {
  console.error('bench/serve.mjs RUN RGB DEPTH, and wrk (apt install wrk)');
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'm3l-serve-load-'));
const part = (name, file) => [
  Buffer.from(
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"; filename="${name}"\r\n\r\n`,
  ),
  readFileSync(file),
  Buffer.from('\r\n'),
];
const body = join(folder, 'body');
writeFileSync(
  body,
  Buffer.concat([...part('rgb', rgb), ...part('depth', depth), Buffer.from(`--${BOUNDARY}--\r\n`)]),
);

/** A server's process and where it listens. */
async function started({ command, args, env = process.env }) {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...env, OMP_NUM_THREADS: values.threads },
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/\S+/.exec(line)?.[0];
    if (url) return { child, url };
  }
  throw new Error(`${args.join(' ')} did not start`);
}

/** What wrk says of so many requests; `onTenth` is called after each tenth of them. */
async function load(url, requests, onTenth = () => {}) {
  const args = [
    '-t1',
    `-c${values.connections}`,
    '-d36000s',
    '--timeout',
    '60s',
    '-s',
    here('children/serve-load.lua'),
    `${url}/predict`,
    '--',
    body,
    BOUNDARY,
    String(requests),
  ];
  const wrk = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(wrk, 'close');
  let result = null;
  for await (const line of createInterface({ input: wrk.stdout })) {
    if (line === 'TENTH') onTenth();
    if (line === 'REACHED') wrk.kill('SIGINT');
    if (line.startsWith('RESULT ')) result = JSON.parse(line.slice('RESULT '.length));
  }
  await ended;
  return result;
}

const megabytes = ({ pid }) =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024);

/** The classes of the load's scene. */
async function classesOf(url) {
  const answer = await fetch(`${url}/predict`, {
    method: 'POST',
    headers: { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` },
    body: readFileSync(body),
  });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}: ${await answer.text()}`);
  const file = join(folder, 'answer.png');
  writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
  return (await readLabels(file)).data;
}

const node = (...args) => ({ command: process.execPath, args });

const servers = {
  m3l: node(here('../dist/cli/main.js'), 'serve', run, '--port', '0', '--queue', '256'),
};
if (values.onnx) {
  servers['onnxruntime-node'] = node(here('children/serve-onnx.mjs'), run, values.threads);
}
if (values.torch) {
  const model = join(folder, 'model.safetensors');
  const { status } = spawnSync(
    process.execPath,
    [here('children/serve-handover.mjs'), run, model],
    {
      stdio: 'inherit',
    },
  );
  if (status !== 0) process.exit(2);
  const program = peerProgram('predict_server.py', 'server');
  servers['PyTorch, FastAPI'] = { ...program, args: [...program.args, model, values.threads] };
}

function tell(found) {
  if (values.json) return console.log(JSON.stringify(found));
  const { server, answers, refused, lost, perSecond, p50, p99, pixelsAsOurs, rss, exit } = found;
  console.log(
    `${server}: ${answers} answers, ${perSecond} a second, p50 ${p50} ms, p99 ${p99} ms; ` +
      `${refused} refused, ${lost} lost; ${100 * pixelsAsOurs} % of pixels as ours; ended with ${exit}\n` +
      `  RSS in MB before and after each tenth: ${rss.join(' ')}`,
  );
}

let ours;
for (const [name, program] of Object.entries(servers)) {
  const { child, url } = await started(program);
  process.once('exit', () => child.kill());
  const classes = await classesOf(url);
  ours ??= classes;
  const same = classes.reduce((sum, value, i) => sum + (value === ours[i]), 0) / ours.length;
  const requests = Number(values.requests);
  await load(url, Math.ceil(requests / 10));
  const rss = [megabytes(child)];
  const result = await load(url, requests, () => rss.push(megabytes(child)));
  child.kill('SIGTERM');
  const [code, signal] = await once(child, 'exit');
  tell({
    ...{ server: name, ...result },
    perSecond: Math.round((10 * result.answers) / result.seconds) / 10,
    pixelsAsOurs: Math.round(1e4 * same) / 1e4,
    ...{ rss, exit: code ?? signal, load: loadavg()[0] },
  });
}
rmSync(folder, { recursive: true });
