import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ImagePrediction, ImagePredictor } from '../experiment/index.js';
import { HttpError } from '../http/errors.js';
import { outputsFor, payloadOf, sendPrediction, summaryOf } from './answer.js';
import { type BodyLimits, type Images, sceneOf, scenesOf } from './body.js';
import { errorAnswer } from './errors.js';
import type { Metrics } from './metrics.js';
import { openApi } from './openapi.js';
import type { ServeSettings } from './options.js';
import { outputAccepted, queryOf } from './query.js';
import { batchQuery, OUTPUTS, type Output, singleQuery, TYPES } from './schemas.js';

/** What the routes answer with. */
export interface Served {
  readonly predictor: ImagePredictor;
  readonly settings: ServeSettings;
  readonly metrics: Metrics;
  readonly version: string;
}

/** Adds all that the server answers. */
export function addRoutes(server: FastifyInstance, served: Served): void {
  const { predictor, settings, metrics, version } = served;
  const { specs, classes } = predictor.facts;
  const modalities = specs.map(({ name }) => name);
  const { maxBytes, maxItems } = settings;
  const limits: BodyLimits = { modalities, maxBytes, maxItems };
  const admission = new Admission(settings.maxQueue + settings.maxBatch);

  const predict = async (images: Images, output: Output, signal: AbortSignal) => {
    const found = await predictor.predict(images, { outputs: outputsFor(output), signal });
    metrics.prediction(found.missing);
    return found;
  };

  // Before a byte of the body is read: what would only wait for others is refused.
  const admit = {
    onRequest: async (_: unknown, reply: FastifyReply) => admission.admit(reply),
  };
  server.post('/predict', admit, async (request, reply) => {
    const query = queryOf(singleQuery, request.query);
    const output = query.output ?? outputAccepted(request.headers.accept);
    const images = await sceneOf(request, query.modality, limits);
    const found = await within(settings, reply, (signal) => predict(images, output, signal));
    return sendPrediction(reply, found, output, classes.length);
  });
  server.post('/predict/batch', admit, async (request, reply) => {
    const { output = 'palette' } = queryOf(batchQuery, request.query);
    const scenes = await scenesOf(request, limits);
    const items = await within(settings, reply, (signal) =>
      Promise.all(
        scenes.map((images) =>
          predict(images, output, signal).then(
            (found) => itemOf(found, output, classes.length),
            (error) => failedItem(error, settings),
          ),
        ),
      ),
    );
    return { items };
  });
  server.get('/model', () => modelOf(served));
  server.get('/health', () => ({ status: 'ok' }));
  server.get('/ready', () => {
    if (predictor.fault !== null) throw predictor.fault;
    return { status: 'ready' };
  });
  server.get('/metrics', (_, reply) => {
    const { waiting, running } = predictor.load;
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(
      metrics.text({
        m3l_waiting_predictions: waiting,
        m3l_running_predictions: running,
        m3l_open_predict_requests: admission.open,
        m3l_ready: predictor.alive ? 1 : 0,
      }),
    );
  });
  const document = openApi(modalities, version);
  server.get('/openapi.json', () => document);
}

/** How many requests for predictions may be under way, their bodies in memory. */
class Admission {
  readonly #most: number;
  open = 0;

  constructor(most: number) {
    this.#most = most;
  }

  admit({ raw }: FastifyReply): void {
    if (this.open >= this.#most) {
      throw new HttpError(
        429,
        'M3L_HTTP_BUSY',
        `found ${this.open} requests under way, expected fewer than ${this.#most}: ask again later.`,
      );
    }
    this.open += 1;
    raw.once('close', () => {
      this.open -= 1;
    });
  }
}

/** What is computed before the time is over, and while the client is there to take it. */
async function within<T>(
  { answerSeconds }: ServeSettings,
  { raw }: FastifyReply,
  compute: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timeout = new HttpError(
    503,
    'M3L_HTTP_TIMEOUT',
    `found no answer after ${answerSeconds} seconds, expected one: ask again when less is asked, or smaller images.`,
  );
  const timer = setTimeout(() => controller.abort(timeout), answerSeconds * 1000);
  const leave = () => controller.abort(new HttpError(499, 'M3L_HTTP_GONE', 'the client has gone.'));
  raw.once('close', leave);
  if (raw.destroyed) leave();
  try {
    return await compute(controller.signal);
  } catch (error) {
    // What of a batch waits yet is not worth computing.
    controller.abort(error);
    throw error;
  } finally {
    clearTimeout(timer);
    raw.off('close', leave);
  }
}

function itemOf(found: ImagePrediction, output: Output, classes: number) {
  const data = payloadOf(found, output, classes);
  return {
    ...summaryOf(found),
    ...(data !== null && { type: TYPES[output], data: data.toString('base64') }),
  };
}

/** A batch answers for each of its scenes; what concerns them all fails all. */
function failedItem(error: unknown, { log }: ServeSettings) {
  const { status, code, message, fault } = errorAnswer(error);
  if (error instanceof HttpError || status === 429 || status === 503) throw error;
  if (fault) log(`in a batch: ${(error as Error)?.stack ?? error}`);
  return { error: { code, message } };
}

function modelOf({ predictor, settings }: Served) {
  const { specs, classes, colours, hasMaskToken, loading } = predictor.facts;
  const { maxBytes, maxPixels, maxItems, answerSeconds } = settings;
  return {
    modalities: specs.map(({ name, kind }) => ({ name, kind })),
    classes: classes.map((name, index) => ({ index, name, colour: colours[index] })),
    masksMissing: hasMaskToken,
    size: loading.size ?? loading.resize ?? null,
    outputs: OUTPUTS,
    limits: { bytes: maxBytes, pixels: maxPixels, items: maxItems, seconds: answerSeconds },
  };
}
