import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DownloadOptions, download } from '../../dist/libtorch/download.js';
import { type Manners, serve, type TestServer } from './server.js';

const content = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919) % 256));
const other = Buffer.from(content).fill(1, 50_000, 60_000);
const sha256 = createHash('sha256').update(content).digest('hex');
const patience = { stall: 20_000, attempts: 3, pause: 1 };

let folder: string;
let file: string;
let server: TestServer;
let lines: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-download-'));
  file = join(folder, 'wheels', 'torch.whl');
  lines = [];
});
afterEach(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

const fetchIt = (more: Partial<DownloadOptions> = {}) =>
  download({ url: server.url, file, patience, log: (line) => lines.push(line), ...more });

const got = () => readFileSync(file).equals(content);
const partial = () => readFileSync(`${file}.partial`).length;

/** Fetches until the server breaks off for good, so that a part is there. */
async function part(bytes: number, manners: Manners = {}): Promise<void> {
  server = await serve(content, { ...manners, breaksAfter: bytes });
  const once = { ...patience, attempts: 1 };
  await expect(fetchIt({ sha256, patience: once })).rejects.toThrow(/kept/);
  server.manners = manners;
  server.requests.length = 0;
}

describe('a download', () => {
  it('is whole, and leaves nothing beside it', async () => {
    server = await serve(content);
    const steps: number[] = [];
    await fetchIt({ sha256, size: content.length, onProgress: (done) => steps.push(done) });
    expect(got()).toBe(true);
    expect(steps.at(-1)).toBe(content.length);
    expect(existsSync(`${file}.partial`)).toBe(false);
    expect(existsSync(`${file}.partial.json`)).toBe(false);
  });

  it('goes on by itself where the connection breaks, from where it was', async () => {
    server = await serve(content, { breaksAfter: 60_000 });
    await fetchIt({ sha256 });
    expect(got()).toBe(true);
    expect(server.requests.length).toBeGreaterThan(3);
    expect(server.requests[1]?.range).toMatch(/^bytes=\d+-$/);
  });

  it('goes on in a later call with a range, if the server’s file is the same', async () => {
    await part(80_000);
    const have = partial();
    expect(have).toBeGreaterThan(0);
    await fetchIt({ sha256 });
    expect(got()).toBe(true);
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]?.range).toBe(`bytes=${have}-`);
    expect(server.requests[0]?.ifRange).toMatch(/^"/);
  });

  it('begins anew where the server’s file has changed meanwhile', async () => {
    await part(80_000);
    writeFileSync(`${file}.partial`, Buffer.alloc(partial(), 9));
    server.manners.etag = '"another"';
    await fetchIt({ sha256 });
    expect(got()).toBe(true);
  });

  it('begins anew where what was kept does not fit, and no tag told so', async () => {
    await part(80_000, { etag: null });
    writeFileSync(`${file}.partial`, Buffer.alloc(partial(), 9));
    await fetchIt({ sha256 });
    expect(got()).toBe(true);
    expect(lines).toContain('what an earlier download left does not fit: from the start');
  });

  it('begins anew where neither hash nor tag could tell a change', async () => {
    await part(80_000, { etag: null });
    await fetchIt();
    expect(server.requests[0]?.range).toBeUndefined();
    expect(got()).toBe(true);
  });

  it('begins anew at a server that knows no ranges', async () => {
    await part(80_000, { ranges: false });
    await fetchIt({ sha256 });
    expect(got()).toBe(true);
  });

  it('is done without a transfer where all was kept', async () => {
    await part(80_000);
    writeFileSync(`${file}.partial`, content);
    await fetchIt({ sha256, size: content.length });
    expect(server.requests).toHaveLength(0);
    await fetchIt({ sha256 });
    expect(got()).toBe(true);
  });

  it('asks a server that has no more bytes than were kept, and believes it', async () => {
    await part(80_000);
    writeFileSync(`${file}.partial`, content);
    await fetchIt({ sha256 });
    expect(server.requests).toHaveLength(1);
    expect(got()).toBe(true);
  });

  it('throws away more bytes than the file has', async () => {
    await part(80_000);
    writeFileSync(`${file}.partial`, Buffer.concat([content, content]));
    await fetchIt({ sha256, size: content.length });
    expect(got()).toBe(true);
  });

  it('of unknown length is taken as it comes', async () => {
    server = await serve(content, { chunked: true });
    await fetchIt({ sha256 });
    expect(got()).toBe(true);
  });
});

describe('a download that fails', () => {
  const refused = async (code: string, message: RegExp, more: Partial<DownloadOptions> = {}) => {
    const outcome = fetchIt({ sha256, ...more });
    await expect(outcome).rejects.toMatchObject({ code });
    await expect(outcome).rejects.toThrow(message);
    expect(existsSync(file)).toBe(false);
  };

  it.each([403, 404, 410])('with %i, at once', async (status) => {
    server = await serve(content, { status });
    await refused('M3L_LIBTORCH_NETWORK', new RegExp(`answered ${status} .*Check the address`));
    expect(server.requests).toHaveLength(1);
  });

  it('with 503, after some attempts', async () => {
    server = await serve(content, { status: 503 });
    await refused('M3L_LIBTORCH_NETWORK', /answered 503/);
    expect(server.requests).toHaveLength(patience.attempts);
  });

  it('for altered bytes, which are not kept', async () => {
    server = await serve(other);
    await refused('M3L_LIBTORCH_HASH', new RegExp(`expected ${sha256}`));
    expect(existsSync(`${file}.partial`)).toBe(false);
  });

  it('for another size than is pinned, before a byte is taken', async () => {
    server = await serve(content);
    await refused('M3L_LIBTORCH_HASH', /200000 bytes, expected 5/, { size: 5 });
    expect(existsSync(`${file}.partial`)).toBe(false);
  });

  it('for more bytes than are pinned, of a server that tells no length', async () => {
    server = await serve(content, { chunked: true });
    await refused('M3L_LIBTORCH_HASH', /expected 1000/, { size: 1000 });
  });

  it('where the server ends too soon and says so by its length', async () => {
    server = await serve(content, { claims: content.length + 1000, ranges: false });
    await refused('M3L_LIBTORCH_NETWORK', /could not be fetched/);
  });

  it('where the server falls silent, with what was kept', async () => {
    server = await serve(content, { holdsAfter: 50_000, ranges: false });
    const short = { ...patience, stall: 300 };
    await refused('M3L_LIBTORCH_NETWORK', /sent nothing for 0\.3 s.*kept: the same command/s, {
      patience: short,
    });
    expect(partial()).toBeGreaterThan(0);
  });

  it('where no one listens, at once', async () => {
    server = await serve(content);
    const { url } = server;
    await server.close();
    await refused('M3L_LIBTORCH_NETWORK', /ECONNREFUSED.*--from/, { url });
    expect(lines).toEqual([]);
  });

  it('where it is told to stop, with what was kept', async () => {
    server = await serve(content, { holdsAfter: 50_000 });
    const controller = new AbortController();
    const onProgress = (done: number) => {
      if (done > 0) controller.abort(new Error('stop'));
    };
    const outcome = fetchIt({ sha256, signal: controller.signal, onProgress });
    await expect(outcome).rejects.toThrow('stop');
    expect(partial()).toBeGreaterThan(0);
  });
});
