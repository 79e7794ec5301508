import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How a server misbehaves. */
export interface Manners {
  /** Knows byte ranges; default: yes. */
  ranges?: boolean;
  etag?: string | null;
  /** Breaks the connection after this many bytes of each answer. */
  breaksAfter?: number;
  /** Sends this many bytes of each answer and then nothing, until `release`. */
  holdsAfter?: number;
  /** Without a length, in chunks. */
  chunked?: boolean;
  status?: number;
  /** Says that it has this many bytes. */
  claims?: number;
}

export interface TestServer {
  url: string;
  requests: { range: string | undefined; ifRange: string | undefined }[];
  manners: Manners;
  content: Buffer;
  release(): void;
  close(): Promise<void>;
}

/** A local HTTP server that has one file. */
export async function serve(content: Buffer, manners: Manners = {}): Promise<TestServer> {
  let free: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    free = resolve;
  });
  const state = { content, manners, requests: [] as TestServer['requests'] };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { content, manners } = state;
    const { ranges = true, etag, breaksAfter, holdsAfter, chunked, status, claims } = manners;
    const { range, 'if-range': ifRange } = request.headers;
    state.requests.push({ range, ifRange: ifRange as string | undefined });
    if (status !== undefined) {
      response.writeHead(status).end('no');
      return;
    }
    const tag = etag === undefined ? `"${createHash('sha1').update(content).digest('hex')}"` : etag;
    const same = ifRange === undefined || ifRange === tag;
    const from = ranges && same ? Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0) : 0;
    const headers: Record<string, string | number> = tag === null ? {} : { etag: tag };
    if (from >= content.length && from > 0) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
      return;
    }
    if (from > 0) {
      headers['content-range'] = `bytes ${from}-${content.length - 1}/${content.length}`;
    }
    if (!chunked) headers['content-length'] = claims ?? content.length - from;
    response.writeHead(from > 0 ? 206 : 200, headers);
    const body = content.subarray(from);
    const first = body.subarray(0, breaksAfter ?? holdsAfter ?? body.length);
    await new Promise((resolve) => response.write(first, resolve));
    if (breaksAfter !== undefined && breaksAfter < body.length) {
      // What was sent is read before the end of the connection is seen.
      setTimeout(() => response.destroy(), 100);
      return;
    }
    if (holdsAfter !== undefined) await held;
    if (claims === undefined) response.end(body.subarray(first.length));
    else response.socket?.end();
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, {
    url: `http://127.0.0.1:${port}/torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl`,
    release: free,
    close: () =>
      new Promise<void>((resolve) => {
        free();
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
}
