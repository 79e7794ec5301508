import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { M3lError } from '../torch/errors.js';
import { HttpError, ListenError } from './errors.js';

/** What a server of ours is told. */
export interface ServerOptions {
  /** Names beside those of this machine that a request's Host may have: the one it is bound to. */
  hosts?: readonly string[];
  /** Origins of pages that may ask beside its own. */
  origins?: readonly string[];
  /** Bytes that a request's body may have (64 KiB). */
  bodyLimit?: number;
}

/** Where a server listens: nobody beside this machine reaches the first of them. */
export const LOOPBACK = '127.0.0.1';
const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * A server that answers its own pages and programs of this machine: a Host that is another's name (which
 * a hostile page may have its own name resolve to this machine for), or another page's Origin, is
 * refused. Errors are JSON: `{ error: { code, message } }`.
 */
export function createServer({
  hosts = [],
  origins = [],
  bodyLimit = 64 << 10,
}: ServerOptions = {}): FastifyInstance {
  const server = Fastify({
    bodyLimit,
    forceCloseConnections: true,
    // Longer names than any file system has.
    routerOptions: { maxParamLength: 1024 },
  });
  server.addHook('onRequest', async (request) => refuseForeign(request, hosts, origins));
  server.addHook('onSend', async (_, reply) => {
    reply.header('x-content-type-options', 'nosniff');
    reply.header('referrer-policy', 'no-referrer');
    reply.header(
      'cross-origin-resource-policy',
      origins.length > 0 ? 'cross-origin' : 'same-origin',
    );
  });
  server.setNotFoundHandler(async (request) => {
    throw new HttpError(
      404,
      'M3L_HTTP_NOT_FOUND',
      `nothing is at ${request.method} ${pathOf(request)}.`,
    );
  });
  server.setErrorHandler((error, _, reply) => sendError(reply, error));
  return server;
}

function refuseForeign(
  { headers, method, protocol }: FastifyRequest,
  hosts: readonly string[],
  origins: readonly string[],
): void {
  const name = hostName(headers.host);
  if (name === null || !(LOOPBACK_NAMES.has(name) || hosts.includes(name))) {
    throw new HttpError(
      403,
      'M3L_HTTP_HOST',
      `found the Host ${headers.host === undefined ? 'missing' : `'${headers.host}'`}, expected ` +
        `localhost: open the address that was printed.`,
    );
  }
  const { origin } = headers;
  const own = `${protocol}://${headers.host}`;
  if (origin !== undefined && origin !== own && !origins.includes(origin)) {
    throw new HttpError(403, 'M3L_HTTP_ORIGIN', `found the Origin '${origin}', expected ${own}.`);
  }
  // A link from elsewhere may open the page; nothing else of another's page may ask.
  const site = headers['sec-fetch-site'];
  const opens = headers['sec-fetch-mode'] === 'navigate' && method === 'GET';
  const foreign = site === 'cross-site' || site === 'same-site';
  if (foreign && !opens && !(origin !== undefined && origins.includes(origin))) {
    throw new HttpError(403, 'M3L_HTTP_ORIGIN', `the request is of another site's page.`);
  }
}

/** The name in a Host, without its port; null where it has none. */
function hostName(host: string | undefined): string | null {
  const [, name] = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/i.exec(host ?? '') ?? [];
  return name?.toLowerCase() ?? null;
}

function pathOf({ url }: FastifyRequest): string {
  return url.length > 200 ? `${url.slice(0, 200)}…` : url;
}

/** Answers with an error: its status where it has one, 400 for what m3l found wrong, 500 for a fault. */
export function sendError(reply: FastifyReply, error: unknown): FastifyReply {
  const { status, code, message } = errorAnswer(error);
  return reply.code(status).send({ error: { code, message } });
}

/** What is answered to a request that ended in an error. */
export function errorAnswer(error: unknown): { status: number; code: string; message: string } {
  if (error instanceof HttpError)
    return { ...error, status: error.status, code: error.code, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof M3lError) return { status: 400, code: error.code, message };
  // Fastify's own, of a request that it could not take.
  const status = Number((error as { statusCode?: number } | null)?.statusCode ?? 500);
  const code = String((error as { code?: string } | null)?.code ?? 'M3L_HTTP_FAULT');
  return { status: status >= 400 && status < 600 ? status : 500, code, message };
}

/** The port asked for, or the first of some that is free. */
export interface ListenOptions {
  port?: number | undefined;
  /** Where none is asked for: this one, or one of those after it, or any. */
  preferred: number;
  host?: string | undefined;
}

const TRIED = 20;

/**
 * @returns the address
 * @throws ListenError M3L_HTTP_PORT where the port asked for is taken or not allowed
 */
export async function listen(
  server: FastifyInstance,
  { port, preferred, host = LOOPBACK }: ListenOptions,
): Promise<{ url: string; port: number }> {
  const ports =
    port === undefined ? [...Array.from({ length: TRIED }, (_, i) => preferred + i), 0] : [port];
  for (const each of ports) {
    try {
      await server.listen({ port: each, host });
      const bound = server.server.address();
      const found = typeof bound === 'object' && bound !== null ? bound.port : each;
      const name = host.includes(':') ? `[${host}]` : host;
      return { url: `http://${name}:${found}`, port: found };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EADDRINUSE' && each !== ports.at(-1)) continue;
      const reason =
        code === 'EADDRINUSE'
          ? 'another program listens there'
          : error instanceof Error
            ? error.message
            : String(error);
      throw new ListenError(
        'M3L_HTTP_PORT',
        `${host}:${each} cannot be listened at: ${reason}. Give another --port, or none for a free one.`,
        { cause: error },
      );
    }
  }
  throw new Error('no port was tried');
}
