/** Who may ask: names of the server, pages of other origins, keys. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { HttpError } from '../http/errors.js';
import { LOOPBACK_NAMES, requireHost } from '../http/host.js';

/** What of a request is looked at before anything of it is read. */
export interface GuardOptions {
  /** Whether only this machine reaches the server: then a Host must be one of its names, or of `hosts`. */
  readonly loopback: boolean;
  readonly hosts: readonly string[];
  /** Origins whose pages may ask. */
  readonly origins: readonly string[];
  /** One of them must be given; none: nobody is asked for one. */
  readonly keys: readonly string[];
}

/** Asked by supervisors, which have no key. */
const OPEN = new Set(['/health', '/ready']);
const PREFLIGHT_SECONDS = '600';
const BEHIND_A_NAME = '. A server behind a name is told it: --allow-host NAME.';

/** Whether only this machine reaches such an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Refuses whoever may not ask, and answers what browsers ask on behalf of allowed pages. */
export function guard(server: FastifyInstance, options: GuardOptions): void {
  const { loopback, hosts } = options;
  const names = loopback ? [...LOOPBACK_NAMES, ...hosts] : hosts;
  const digests = options.keys.map(digestOf);
  server.addHook('onRequest', async (request, reply) => {
    if (names.length > 0) requireHost(request, names, BEHIND_A_NAME);
    allowOrigin(request, reply, options);
    if (request.method === 'OPTIONS' && request.headers.origin !== undefined) {
      return reply
        .code(204)
        .header('access-control-allow-methods', 'GET, POST')
        .header('access-control-allow-headers', 'authorization, content-type, x-api-key')
        .header('access-control-max-age', PREFLIGHT_SECONDS)
        .send();
    }
    if (digests.length > 0 && !OPEN.has(request.routeOptions.url ?? '')) checkKey(request, digests);
    return undefined;
  });
}

function allowOrigin(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  { origins }: GuardOptions,
): void {
  const { origin, host } = headers;
  if (origins.length > 0) reply.header('vary', 'origin');
  if (origin !== undefined && origins.includes(origin)) {
    reply
      .header('access-control-allow-origin', origin)
      .header('access-control-expose-headers', EXPOSED.join(', '));
    return;
  }
  const own = origin === `http://${host}` || origin === `https://${host}`;
  const site = headers['sec-fetch-site'];
  const foreign = origin === undefined ? site === 'cross-site' || site === 'same-site' : !own;
  if (!foreign) return;
  throw new HttpError(
    403,
    'M3L_HTTP_ORIGIN',
    `found a request of a page of ${origin === undefined ? 'another site' : `'${origin}'`}, expected none. ` +
      'Pages that may ask are named: --cors ORIGIN.',
  );
}

/** Headers of answers that pages may read. */
export const EXPOSED = [
  'x-m3l-width',
  'x-m3l-height',
  'x-m3l-missing',
  'x-m3l-fill',
  'retry-after',
];

function checkKey({ headers }: FastifyRequest, digests: readonly Buffer[]): void {
  const [, bearer] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
  const given = digestOf(bearer ?? String(headers['x-api-key'] ?? ''));
  let known = false;
  // All are compared, each in the same time whatever it shares with the one given.
  for (const digest of digests) known = timingSafeEqual(digest, given) || known;
  if (known) return;
  throw new HttpError(
    401,
    'M3L_HTTP_KEY',
    "found no key of this server, expected one: 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
  );
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
