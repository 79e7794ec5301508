import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import type { Home } from './api.js';

/** What the page is made of; built from lib/view/page. */
const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
} as const;

/** Scripts and styles of this server alone; whatever a name holds, nothing else runs or is fetched. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export function addPageRoutes(server: FastifyInstance, home: Home): void {
  for (const [path, [file, type]] of Object.entries(FILES)) {
    const bytes = readFileSync(new URL(`./page/${file}`, import.meta.url));
    const packed = gzipSync(bytes);
    server.get(path, async ({ headers }, reply) => {
      reply
        .header('content-type', type)
        .header('content-security-policy', POLICY)
        .header('cache-control', 'no-cache')
        .header('vary', 'accept-encoding');
      // As through a tunnel, of which not all are quick.
      if (!/\bgzip\b/.test(headers['accept-encoding'] ?? '')) return reply.send(bytes);
      return reply.header('content-encoding', 'gzip').send(packed);
    });
  }
  server.get('/api/home', async () => home);
}
