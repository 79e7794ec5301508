// `m3l serve` under load by wrk: node bench/serve.mjs RUN RGB DEPTH [--requests 10000] [--connections 8]
// [--onnx]. Each server gets the same requests; what is lost or refused is counted, and its memory
// after a tenth of them is compared with that at the end.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const BOUNDARY = 'm3l-serve-load';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    requests: { type: 'string', default: '10000' },
    connections: { type: 'string', default: '8' },
    threads: { type: 'string', default: '2' },
    onnx: { type: 'boolean', default: false },
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
async function started(command, ...args) {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: values.threads },
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/\S+/.exec(line)?.[0];
    if (url) return { child, url };
  }
  throw new Error(`${args.join(' ')} did not start`);
}

async function load(url, requests) {
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
  let text = '';
  wrk.stdout.on('data', (data) => {
    text += data;
    if (text.includes('REACHED')) wrk.kill('SIGINT');
  });
  await once(wrk, 'close');
  return JSON.parse(/^RESULT (.*)$/m.exec(text)?.[1] ?? 'null');
}

const megabytes = ({ pid }) =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024);

const servers = [
  ['m3l', here('../dist/cli/main.js'), 'serve', run, '--port', '0', '--queue', '256'],
];
if (values.onnx)
  servers.push(['onnxruntime-node', here('children/serve-onnx.mjs'), run, values.threads]);

for (const [name, ...args] of servers) {
  const { child, url } = await started(process.execPath, ...args);
  const requests = Number(values.requests);
  const warm = await load(url, Math.ceil(requests / 10));
  const before = megabytes(child);
  const result = await load(url, requests);
  const after = megabytes(child);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  console.log(
    JSON.stringify({
      ...{
        server: name,
        ...result,
        perSecond: Math.round((10 * result.answers) / result.seconds) / 10,
      },
      ...{ warm: warm.answers, rssBefore: before, rssAfter: after, exit: code, load: loadavg()[0] },
    }),
  );
}
rmSync(folder, { recursive: true });
