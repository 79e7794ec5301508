import type { FastifyRequest } from 'fastify';
import { HttpError } from '../http/errors.js';

/**
 * The values of a name that may be given several times.
 * @throws HttpError 400 of more than `most`
 */
export function listQuery({ query }: FastifyRequest, name: string, most: number): string[] {
  const found = (query as Readonly<Record<string, string | string[] | undefined>>)[name] ?? [];
  const values = typeof found === 'string' ? [found] : found;
  if (values.length <= most) return values;
  throw new HttpError(
    400,
    'M3L_HTTP_QUERY',
    `found ${values.length} values of '${name}', expected at most ${most}.`,
  );
}

/** @throws HttpError 400 of what is no index */
export function sceneNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new HttpError(
    400,
    'M3L_HTTP_QUERY',
    `found the scene '${text.slice(0, 40)}', expected its index.`,
  );
}
