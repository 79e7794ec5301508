import { join } from 'node:path';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { reasonOf } from '../experiment/errors.js';
import { HttpError } from '../http/errors.js';
import { eventStream } from '../http/event-stream.js';
import type { RunEntry, RunRobustness } from './api.js';
import { sendClasses } from './class-bytes.js';
import { readText } from './files.js';
import { sendUnlessKnown } from './known.js';
import { LiveRuns } from './live-runs.js';
import { listQuery, sceneNumber } from './queries.js';
import type { RunCatalogue } from './run-catalogue.js';
import { readRunConfig } from './run-config.js';
import type { RunPool } from './run-pool.js';
import type { RunScenes } from './run-scenes.js';
import { RunSummaries } from './run-summaries.js';

/** Runs that one answer may tell of. */
const MOST_SUMMARIES = 100;
const MOST_LIVE = 8;
/** Progress of a confusion matrix, milliseconds apart. */
const TOLD_EVERY = 250;

interface ById {
  Params: { id: string };
}

interface ByScene {
  Params: { id: string; index: string };
}

/** What is answered of runs. */
export function addRunRoutes(
  server: FastifyInstance,
  catalogue: RunCatalogue,
  pool: RunPool,
): void {
  const summaries = new RunSummaries();
  const live = new LiveRuns(catalogue, summaries);
  const withScenes = async <Result>(
    id: string,
    work: (scenes: RunScenes) => Result | Promise<Result>,
  ) => pool.use(await catalogue.folderOf(id), work);

  server.get('/api/runs', async (request, reply) =>
    sendUnlessKnown(request, reply, await catalogue.list()),
  );

  server.get('/api/summaries', async (request, reply) => {
    const ids = listQuery(request, 'run', MOST_SUMMARIES);
    const known = new Map((await catalogue.list()).map((entry) => [entry.id, entry]));
    const entries = ids.map((id) => known.get(id)).filter((entry): entry is RunEntry => !!entry);
    const found = await Promise.all(entries.map((entry) => summaries.of(entry)));
    return sendUnlessKnown(request, reply, found);
  });

  server.get('/api/live', (request, reply) => {
    const ids = listQuery(request, 'run', MOST_LIVE);
    return eventStream(reply, (stream) => live.follow(ids, stream));
  });

  server.get<ById>('/api/runs/:id/config', async ({ params }) => {
    const { values, problem } = await readRunConfig(
      join(await catalogue.folderOf(params.id), 'config.yaml'),
    );
    return { values, problem };
  });

  server.get<ById>('/api/runs/:id/robustness', async ({ params }) =>
    readRobustness(await catalogue.folderOf(params.id)),
  );

  server.get<ById>('/api/runs/:id/scenes', ({ params }) =>
    withScenes(params.id, (scenes) => scenes.facts()),
  );

  server.get<{ Params: ByScene['Params'] & { modality: string } }>(
    '/api/runs/:id/scenes/:index/pictures/:modality',
    async ({ params }, reply) => {
      const { type, bytes } = await withScenes(params.id, (scenes) =>
        scenes.picture(sceneNumber(params.index), params.modality),
      );
      return reply.header('content-type', type).header('cache-control', KEPT).send(bytes);
    },
  );

  server.get<ByScene>('/api/runs/:id/scenes/:index/label', async ({ params }, reply) => {
    const label = (scenes: RunScenes) => scenes.label(sceneNumber(params.index));
    return sendClasses(reply, await withScenes(params.id, label));
  });

  server.get<ByScene>('/api/runs/:id/scenes/:index/prediction', async (request, reply) => {
    const { params } = request;
    const without = listQuery(request, 'without', 64);
    const signal = goneSignal(reply);
    const prediction = (scenes: RunScenes) =>
      scenes.prediction(sceneNumber(params.index), without, signal);
    return sendClasses(reply, await withScenes(params.id, prediction));
  });

  server.get<ById>('/api/runs/:id/confusion', (request, reply) => {
    const without = listQuery(request, 'without', 64);
    return withScenes(request.params.id, (scenes) =>
      eventStream(reply, async ({ signal, send }) => {
        let told = 0;
        for await (const progress of scenes.confusion(without, signal)) {
          const last = progress.done === progress.images;
          if (!last && performance.now() - told < TOLD_EVERY) continue;
          told = performance.now();
          await send(last ? 'done' : 'progress', progress);
        }
      }),
    );
  });
}

/** Aborted where the client goes before it was answered, as a page does whose scene was left. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) controller.abort(new Error('The client has gone.'));
  });
  return controller.signal;
}

/** Pictures of scenes stay as they are while the page is open. */
const KEPT = 'private, max-age=600';

const number = z.number().nullable().catch(null);
const robustnessSchema = z.object({
  checkpoint: z.string().nullable().catch(null),
  images: number,
  curves: z.array(
    z.object({
      corruption: z.string(),
      modalities: z.array(z.string()),
      worst: z.string().catch(''),
      points: z.array(z.object({ severity: z.number(), meanIoU: number })),
    }),
  ),
});

async function readRobustness(folder: string): Promise<RunRobustness | { curves: null }> {
  const file = join(folder, 'robustness.json');
  try {
    const text = await readText(file);
    return text === null ? { curves: null } : robustnessSchema.parse(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? 'it is of another shape' : reasonOf(error);
    throw new HttpError(
      422,
      'M3L_RUN_READ',
      `${file} cannot be read: ${reason}. Measure again: m3l robustness ${folder}`,
    );
  }
}
