import multipart from '@fastify/multipart';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { HttpError } from '../http/errors.js';
import { type ConnectionError, rawAnswer } from './client-error.js';
import { errorAnswer } from './errors.js';
import { guard, isLoopback } from './guard.js';
import type { Metrics } from './metrics.js';
import type { ServeSettings } from './options.js';

/** Bytes of a request's headers. */
const HEADER_BYTES = 16 << 10;

/** What a server asks whoever runs it. */
export interface ServerState {
  /** Whether it ends: then new requests are refused. */
  readonly closing: boolean;
}

/** A server without routes: its limits, its guards, its errors as JSON of one shape. */
export function createServer(
  settings: ServeSettings,
  state: ServerState,
  metrics: Metrics,
): FastifyInstance {
  const { maxBytes, uploadSeconds, answerSeconds, log } = settings;
  const server = Fastify({
    bodyLimit: maxBytes,
    requestTimeout: uploadSeconds * 1000,
    connectionTimeout: Math.ceil(1000 * (uploadSeconds + answerSeconds + 5)),
    keepAliveTimeout: 5000,
    // Refused by the hook below, in words of ours.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // Node takes the shorter of the two timeouts for that of the headers: both are given.
    http: {
      maxHeaderSize: HEADER_BYTES,
      connectionsCheckingInterval: 500,
      headersTimeout: Math.min(uploadSeconds, 10) * 1000,
      requestTimeout: uploadSeconds * 1000,
    },
    clientErrorHandler(error, socket) {
      if (socket.writable) socket.end(rawAnswer(error as ConnectionError), () => socket.destroy());
      else socket.destroy();
    },
  });
  server.addHook('onRequest', async (_, reply) => {
    reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store');
    if (!state.closing) return;
    reply.header('connection', 'close');
    throw new HttpError(503, 'M3L_HTTP_CLOSING', 'the server ends: ask another, or later.');
  });
  guard(server, {
    loopback: isLoopback(settings.host),
    hosts: settings.hosts,
    origins: settings.cors,
    keys: settings.keys,
  });
  server.addHook('onResponse', async ({ routeOptions }, reply) => {
    metrics.request(routeOptions.url ?? 'none', reply.statusCode, reply.elapsedTime / 1000);
  });
  const fail = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const { status, code, message, fault } = errorAnswer(error);
    if (fault)
      log(`${request.method} ${request.url.slice(0, 200)}: ${(error as Error)?.stack ?? error}`);
    if (status === 429 || code === 'M3L_WORKER_DIED') reply.header('retry-after', '1');
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    // What of a body was not read would be taken for the next request.
    if (!request.raw.complete) reply.header('connection', 'close');
    return reply.code(status).type('application/json').send({ error: { code, message } });
  };
  server.setErrorHandler(fail);
  server.setNotFoundHandler((request, reply) => {
    const at = `${request.method} ${request.url.slice(0, 200)}`;
    const error = new HttpError(
      404,
      'M3L_HTTP_NOT_FOUND',
      `nothing is at ${at}: see /openapi.json for what is.`,
    );
    return fail(error, request, reply);
  });
  server.removeAllContentTypeParsers();
  for (const type of [/^image\//, 'application/octet-stream', 'application/x-npy']) {
    server.addContentTypeParser(type, { parseAs: 'buffer' }, (_, body, done) => done(null, body));
  }
  void server.register(multipart, { limits: { headerPairs: 50, fieldNameSize: 200 } });
  return server;
}
