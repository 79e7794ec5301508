import { useEffect, useState } from 'preact/hooks';
import { askClasses, asRefusal, type ClassMap, many, type Refusal } from './ask.js';

/** What the page asks of all of its runs at once. */
export interface SceneView {
  index: number;
  /** Modalities that the models are not given. */
  off: readonly string[];
  cover: number;
}

/** Where a scene of a run is. */
export const scenePath = (run: string, index: number) =>
  `/api/runs/${encodeURIComponent(run)}/scenes/${index}`;

/** Where a picture of a scene is. */
export const picturePath = (scene: string, modality: string, checkpoint: string | null) =>
  `${scene}/pictures/${encodeURIComponent(modality)}?${many('at', [checkpoint ?? ''])}`;

export function predictionPath(
  scene: string,
  without: readonly string[],
  checkpoint: string | null,
): string {
  const query = [many('without', without), `at=${encodeURIComponent(checkpoint ?? '')}`];
  return `${scene}/prediction?${query.filter((part) => part !== '').join('&')}`;
}

interface Kept {
  asked: Promise<ClassMap>;
  map: ClassMap | null;
  controller: AbortController;
}

const MOST_MAPS = 80;
const maps = new Map<string, Kept>();

/** Classes that were asked for before are there at once. */
export function classesAt(path: string): Promise<ClassMap> {
  const kept = maps.get(path) ?? ask(path);
  maps.delete(path);
  maps.set(path, kept);
  if (maps.size > MOST_MAPS) maps.delete(maps.keys().next().value!);
  return kept.asked;
}

function ask(path: string): Kept {
  const controller = new AbortController();
  const kept: Kept = { asked: askClasses(path, controller.signal), map: null, controller };
  kept.asked.then(
    (map) => {
      kept.map = map;
    },
    () => forget(path, kept),
  );
  return kept;
}

function forget(path: string, kept: Kept): void {
  if (maps.get(path) === kept) maps.delete(path);
}

/** What is still asked of a scene that was left is taken back: the next one does not wait for it. */
function leave(scene: string): void {
  for (const [path, kept] of maps) {
    if (kept.map !== null || !path.startsWith(`${scene}/`)) continue;
    maps.delete(path);
    kept.controller.abort();
  }
}

interface Found {
  scene: string;
  path: string;
  map: ClassMap;
}

/** Classes of a scene as they are shown. */
export interface ShownClasses {
  map: ClassMap | null;
  /** What is shown: while others of the scene are coming, those from before. */
  path: string | null;
  busy: boolean;
  error: Refusal | null;
}

/**
 * Classes of a scene, and while others of the same scene are coming those from before: nothing blinks.
 * Nothing of another scene is ever shown. Null asks for nothing.
 */
export function useClasses(scene: string, path: string | null): ShownClasses {
  const [found, setFound] = useState<Found | null>(null);
  const [error, setError] = useState<{ path: string; refusal: Refusal } | null>(null);
  useEffect(() => {
    if (path === null) return;
    let ended = false;
    classesAt(path).then(
      (map) => {
        if (!ended) setFound({ scene, path, map });
      },
      (failure: unknown) => {
        if (!ended) setError({ path, refusal: asRefusal(failure) });
      },
    );
    return () => {
      ended = true;
    };
  }, [scene, path]);
  useEffect(() => () => leave(scene), [scene]);
  if (path === null) return { map: null, path: null, busy: false, error: null };
  const failed = error !== null && error.path === path;
  const known = maps.get(path)?.map;
  const shown = known ? { path, map: known } : found?.scene === scene ? found : null;
  return {
    map: shown?.map ?? null,
    path: shown?.path ?? null,
    busy: shown?.path !== path && !failed,
    error: failed ? error.refusal : null,
  };
}

type Images = readonly (HTMLImageElement | null)[];

/** The pictures of a scene, each as it comes; none of another scene. */
export function usePictures(
  scene: string,
  paths: readonly string[],
): { images: Images; error: string | null } {
  const [found, setFound] = useState<{ scene: string; images: Images }>({ scene, images: [] });
  const [error, setError] = useState<string | null>(null);
  const key = paths.join('\n');
  useEffect(() => {
    let ended = false;
    setError(null);
    for (const [index, path] of paths.entries()) {
      pictureAt(path).then(
        (image) => {
          if (ended) return;
          setFound((before) => {
            const known = before.scene === scene ? before.images : [];
            return {
              scene,
              images: paths.map((_, i) => (i === index ? image : (known[i] ?? null))),
            };
          });
        },
        () => {
          if (!ended) setError(path);
        },
      );
    }
    return () => {
      ended = true;
    };
  }, [scene, key]);
  return { images: found.scene === scene ? found.images : NONE, error };
}

const NONE: Images = [];

const MOST_PICTURES = 64;
const pictures = new Map<string, Promise<HTMLImageElement>>();

/** A picture, ready to be drawn. One that was asked for before is there at once. */
export function pictureAt(path: string): Promise<HTMLImageElement> {
  const known = pictures.get(path);
  pictures.delete(path);
  const asked = known ?? read(path);
  if (known === undefined) asked.catch(() => pictures.delete(path));
  pictures.set(path, asked);
  if (pictures.size > MOST_PICTURES) pictures.delete(pictures.keys().next().value!);
  return asked;
}

async function read(path: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.decoding = 'async';
  image.src = path;
  await image.decode();
  return image;
}
