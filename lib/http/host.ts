/** Names and addresses of a server. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HttpError } from './errors.js';

/** Where a server listens that nobody beside this machine reaches. */
export const LOOPBACK = '127.0.0.1';
/** What this machine calls itself. */
export const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

/**
 * A hostile page may have a name of its own resolve to this machine: only known ones may ask.
 * @param mend follows what was expected
 * @throws HttpError 403 M3L_HTTP_HOST where the Host, without its port, is none of the names
 */
export function requireHost(
  { headers: { host } }: FastifyRequest,
  names: readonly string[],
  mend: string,
): void {
  const [, name] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host ?? '') ?? [];
  if (name !== undefined && names.includes(name.toLowerCase())) return;
  throw new HttpError(
    403,
    'M3L_HTTP_HOST',
    `found the Host ${host === undefined ? 'missing' : `'${host}'`}, expected ${names.join(', ')}${mend}`,
  );
}

/** The address of a server that listens. */
export function urlOf(server: FastifyInstance, host: string): string {
  const bound = server.server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the server does not listen');
  return `http://${host.includes(':') ? `[${host}]` : host}:${bound.port}`;
}

/** Why a server cannot listen where it was asked to. */
export function whyNotThere(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'EADDRINUSE' ? 'another program listens there' : message;
}
