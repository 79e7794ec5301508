import type { FastifyInstance } from 'fastify';
import { eventStream } from '../http/event-stream.js';
import type { SceneNames } from './api.js';
import { packClasses, sendClasses } from './class-bytes.js';
import type { DataScenes } from './data-scenes.js';
import { sceneNumber } from './queries.js';

/** Names in one answer. */
const MOST_NAMES = 200;

interface ByScene {
  Params: { split: string; index: string };
  Querystring: { draw?: string };
}

/** What is answered of a configuration's data. A `draw` asks for an augmentation. */
export function addDataRoutes(server: FastifyInstance, data: DataScenes): void {
  server.get('/api/data', async () => data.home);

  server.get<{ Params: { split: string }; Querystring: { from?: string } }>(
    '/api/data/:split/names',
    async ({ params, query }): Promise<SceneNames> => {
      const from = sceneNumber(query.from ?? '0');
      const { samples } = data.split(params.split).stored;
      return { from, names: samples.slice(from, from + MOST_NAMES).map(({ name }) => name) };
    },
  );

  server.get<{
    Params: ByScene['Params'] & { modality: string };
    Querystring: ByScene['Querystring'];
  }>('/api/data/:split/:index/pictures/:modality', async ({ params, query }, reply) => {
    const { reader, draw } = readerOf(data, params.split, query.draw);
    const { type, bytes } = await reader.picture(sceneNumber(params.index), params.modality, draw);
    return reply
      .header('content-type', type)
      .header('cache-control', 'private, max-age=600')
      .send(bytes);
  });

  server.get<ByScene>('/api/data/:split/:index/label', async ({ params, query }, reply) => {
    const { reader, draw } = readerOf(data, params.split, query.draw);
    const { classes, size } = await reader.label(sceneNumber(params.index), draw);
    return sendClasses(reply, await packClasses(classes, ...size));
  });

  server.get('/api/data/check', (_, reply) =>
    eventStream(reply, async ({ signal, send }) => {
      for await (const progress of data.check(signal)) await send('check', progress);
    }),
  );
}

function readerOf(data: DataScenes, split: string, draw: string | undefined) {
  const { stored, drawn } = data.split(split);
  return draw === undefined
    ? { reader: stored, draw: 0 }
    : { reader: drawn, draw: sceneNumber(draw) };
}
