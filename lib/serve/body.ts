/** The images that a request holds. */
import type { FastifyRequest } from 'fastify';
import { meant, nearest } from '../experiment/nearest.js';
import { HttpError } from '../http/errors.js';
import { M3lError } from '../torch/errors.js';

/** Images of one scene by their modalities. */
export type Images = Record<string, Uint8Array>;

/** What bounds a request's body. */
export interface BodyLimits {
  readonly modalities: readonly string[];
  readonly maxBytes: number;
  readonly maxItems: number;
}

/**
 * The images of one scene: parts by the names of modalities, or the body itself.
 * @throws HttpError 400, 413, 415
 */
export async function sceneOf(
  request: FastifyRequest,
  modality: string | undefined,
  limits: BodyLimits,
): Promise<Images> {
  if (!request.isMultipart()) return wholeBody(request, modality, limits);
  const images: Images = {};
  await readParts(request, limits, limits.modalities.length, (name, bytes) => {
    put(images, name, bytes, limits);
  });
  return images;
}

/** The images of several scenes: parts named by the number of the scene and the modality, `0.rgb`. */
export async function scenesOf(request: FastifyRequest, limits: BodyLimits): Promise<Images[]> {
  if (!request.isMultipart()) throw bodyError('found one image, expected multipart/form-data.');
  const { maxItems, modalities } = limits;
  const scenes: Images[] = [];
  await readParts(request, limits, maxItems * modalities.length, (name, bytes) => {
    const [, number, modality] = /^(\d{1,6})\.(.+)$/.exec(name) ?? [];
    if (number === undefined || modality === undefined) {
      throw bodyError(
        `found the part '${name}', expected the number of its scene and its modality: 0.${modalities[0]}.`,
      );
    }
    if (Number(number) >= maxItems) {
      throw new HttpError(
        413,
        'M3L_HTTP_LARGE',
        `found the scene ${number}, expected at most ${maxItems} scenes, from 0 on. Send several requests.`,
      );
    }
    const scene = scenes[Number(number)] ?? {};
    scenes[Number(number)] = scene;
    put(scene, modality, bytes, limits);
  });
  if (scenes.length === 0) throw bodyError('found no scene, expected parts such as 0.rgb.');
  return Array.from(scenes, (scene) => scene ?? {});
}

function put(images: Images, name: string, bytes: Uint8Array, { modalities }: BodyLimits): void {
  if (!modalities.includes(name)) {
    throw new HttpError(
      400,
      'M3L_MISSING_MODALITY',
      `'${name}' is no modality of this model, which has ${modalities.join(', ')}.${meant(nearest(name, modalities))}`,
    );
  }
  if (Object.hasOwn(images, name)) throw bodyError(`found '${name}' twice, expected it once.`);
  images[name] = bytes;
}

function wholeBody(
  { body }: FastifyRequest,
  modality: string | undefined,
  limits: BodyLimits,
): Images {
  const { modalities } = limits;
  const name = modality ?? (modalities.length === 1 ? modalities[0]! : null);
  if (name === null) {
    throw bodyError(
      `found one image and not which modality it is, expected ?modality= one of ${modalities.join(', ')}, or multipart/form-data.`,
    );
  }
  if (!(body instanceof Uint8Array) || body.length === 0) {
    throw bodyError(
      `found no body, expected an image: curl --data-binary @${name}.png -H 'Content-Type: image/png'.`,
    );
  }
  const images: Images = {};
  put(images, name, body, limits);
  return images;
}

async function readParts(
  request: FastifyRequest,
  { maxBytes }: BodyLimits,
  most: number,
  take: (name: string, bytes: Uint8Array) => void,
): Promise<void> {
  const large = () =>
    new HttpError(
      413,
      'M3L_HTTP_LARGE',
      `found more than ${maxBytes} bytes, expected no more in a request. Send smaller images.`,
    );
  if (Number(request.headers['content-length']) > maxBytes + (64 << 10)) throw large();
  let total = 0;
  let parts = 0;
  try {
    for await (const part of request.parts({ limits: { fileSize: maxBytes, fieldSize: 1024 } })) {
      const name = part.fieldname.slice(0, 100);
      parts += 1;
      if (parts > most) {
        throw new HttpError(
          413,
          'M3L_HTTP_LARGE',
          `found more than ${most} parts, expected no more.`,
        );
      }
      if (part.type === 'field') {
        if (part.value === '') continue;
        throw bodyError(`found text for '${name}', expected a file: curl -F ${name}=@${name}.png.`);
      }
      const chunks: Buffer[] = [];
      for await (const chunk of part.file) {
        total += chunk.length;
        if (total > maxBytes) throw large();
        chunks.push(chunk);
      }
      const bytes = Buffer.concat(chunks);
      // A form's field for a file that nobody chose.
      if (bytes.length > 0 || part.filename) take(name, bytes);
    }
  } catch (error) {
    if (error instanceof M3lError) throw error;
    const { statusCode } = error as { statusCode?: number };
    const reason = (error as Error).message;
    if (statusCode === 413) throw new HttpError(413, 'M3L_HTTP_LARGE', reason, { cause: error });
    throw new HttpError(
      400,
      'M3L_HTTP_BODY',
      `the multipart body cannot be read (${reason}), expected it whole: send it again.`,
      { cause: error },
    );
  }
}

function bodyError(message: string): HttpError {
  return new HttpError(400, 'M3L_HTTP_BODY', message);
}
