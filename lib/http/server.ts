import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { M3lError } from '../torch/errors.js';
import { HttpError, ListenError } from './errors.js';
import { LOOPBACK, LOOPBACK_NAMES, requireHost, urlOf, whyNotThere } from './host.js';

/** Bytes that a request's body may have. */
const BODY_BYTES = 64 << 10;

/**
 * A server that answers its own pages and programs of this machine: a Host that is another's name, or
 * another page's Origin, is refused. Errors are JSON: `{ error: { code, message } }`.
 */
export function createServer(): FastifyInstance {
  const server = Fastify({
    bodyLimit: BODY_BYTES,
    forceCloseConnections: true,
    // Longer names than any file system has.
    routerOptions: { maxParamLength: 1024 },
  });
  server.addHook('onRequest', async (request) => {
    requireHost(request, LOOPBACK_NAMES, ': open the address that was printed.');
    refuseForeign(request);
  });
  server.addHook('onSend', async (_, reply) => {
    reply.header('x-content-type-options', 'nosniff');
    reply.header('referrer-policy', 'no-referrer');
    reply.header('cross-origin-resource-policy', 'same-origin');
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

function refuseForeign({ headers, method, protocol }: FastifyRequest): void {
  const { origin } = headers;
  const own = `${protocol}://${headers.host}`;
  if (origin !== undefined && origin !== own) {
    throw new HttpError(403, 'M3L_HTTP_ORIGIN', `found the Origin '${origin}', expected ${own}.`);
  }
  // A link from elsewhere may open the page; nothing else of another's page may ask.
  const site = headers['sec-fetch-site'];
  const opens = headers['sec-fetch-mode'] === 'navigate' && method === 'GET';
  if ((site === 'cross-site' || site === 'same-site') && !opens) {
    throw new HttpError(403, 'M3L_HTTP_ORIGIN', `the request is of another site's page.`);
  }
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
  if (error instanceof HttpError) {
    const { status, code, message } = error;
    return { status, code, message };
  }
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
}

const TRIED = 20;

/**
 * @returns the address, which nobody beside this machine reaches
 * @throws ListenError M3L_HTTP_PORT where the port asked for is taken or not allowed
 */
export async function listen(
  server: FastifyInstance,
  { port, preferred }: ListenOptions,
): Promise<string> {
  const ports =
    port === undefined ? [...Array.from({ length: TRIED }, (_, i) => preferred + i), 0] : [port];
  for (const each of ports) {
    try {
      await server.listen({ port: each, host: LOOPBACK });
      return urlOf(server, LOOPBACK);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EADDRINUSE' && each !== ports.at(-1)) continue;
      throw new ListenError(
        'M3L_HTTP_PORT',
        `${LOOPBACK}:${each} cannot be listened at: ${whyNotThere(error)}. Give another --port, or none ` +
          'for a free one.',
        { cause: error },
      );
    }
  }
  throw new Error('no port was tried');
}
