/** What a request asks for: by its query, or by the types that it accepts. */
import type { z } from 'zod';
import { meant, nearest } from '../experiment/nearest.js';
import { HttpError } from '../http/errors.js';
import { OUTPUTS, type Output, TYPES } from './schemas.js';

/** @throws HttpError 400 M3L_HTTP_QUERY */
export function queryOf<Schema extends z.ZodObject>(
  schema: Schema,
  query: unknown,
): z.infer<Schema> {
  const parsed = schema.safeParse(query);
  if (parsed.success) return parsed.data;
  const known = Object.keys(schema.shape);
  const stray = Object.keys(query as object).find((key) => !known.includes(key));
  const [issue] = parsed.error.issues;
  throw new HttpError(
    400,
    'M3L_HTTP_QUERY',
    stray !== undefined
      ? `found the query '${stray.slice(0, 60)}', expected ${known.join(' or ')}.${meant(nearest(stray.slice(0, 60), known))}`
      : `${issue!.path.join('.')}: ${issue!.message}.${meantOutput(query)}`,
  );
}

function meantOutput(query: unknown): string {
  const { output } = query as { output?: unknown };
  return typeof output === 'string' ? meant(nearest(output.slice(0, 60), OUTPUTS)) : '';
}

/**
 * The output that a client accepts best. Several are PNG, of which the palette is meant.
 * @throws HttpError 406 M3L_HTTP_ACCEPT
 */
export function outputAccepted(accept: string | undefined): Output {
  const wanted = (accept ?? '*/*')
    .split(',', 32)
    .map((part) => {
      const [type = '', ...parameters] = part
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/);
      const quality = parameters.find((each) => each.startsWith('q='));
      return { type, quality: quality === undefined ? 1 : Number(quality.slice(2)) };
    })
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality);
  for (const { type } of wanted) {
    const found = OUTPUTS.find((output) => matches(type, TYPES[output]));
    if (found !== undefined) return found;
  }
  throw new HttpError(
    406,
    'M3L_HTTP_ACCEPT',
    `found 'Accept: ${accept}', expected one of ${[...new Set(Object.values(TYPES))].join(', ')}; or name it: ?output=${OUTPUTS.join(', ')}.`,
  );
}

function matches(pattern: string, type: string): boolean {
  if (pattern === '*/*' || pattern === type) return true;
  return pattern.endsWith('/*') && type.startsWith(pattern.slice(0, -1));
}
