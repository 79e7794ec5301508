import { useEffect, useState } from 'preact/hooks';
import { askClasses, asRefusal, type ClassMap, many, type Refusal } from './ask.js';

/** What the page asks of all of its runs at once. */
export interface SceneView {
  index: number;
  /** Modalities that the models are not given. */
  off: readonly string[];
  at: number;
  cover: number;
}

/** Where a picture of a run's scene is. */
export const picturePath = (run: string, index: number, modality: string, checkpoint: string) =>
  `/api/runs/${encodeURIComponent(run)}/scenes/${index}/pictures/${encodeURIComponent(modality)}?${many('at', [checkpoint])}`;

const MOST_MAPS = 80;
const maps = new Map<string, Promise<ClassMap>>();

/** Classes that were asked for before are there at once. */
export function classesAt(path: string): Promise<ClassMap> {
  const known = maps.get(path);
  maps.delete(path);
  const asked = known ?? askClasses(path);
  asked.catch(() => maps.delete(path));
  maps.set(path, asked);
  if (maps.size > MOST_MAPS) maps.delete(maps.keys().next().value!);
  return asked;
}

export function predictionPath(
  run: string,
  index: number,
  without: readonly string[],
  checkpoint: string | null,
): string {
  const query = [many('without', without), `at=${encodeURIComponent(checkpoint ?? '')}`];
  return `/api/runs/${encodeURIComponent(run)}/scenes/${index}/prediction?${query
    .filter((part) => part !== '')
    .join('&')}`;
}

interface Found {
  path: string;
  map: ClassMap;
}

/**
 * Classes, and while others are coming those from before: nothing blinks. `busy` while they come; null
 * asks for nothing.
 */
export function useClasses(path: string | null): {
  map: ClassMap | null;
  busy: boolean;
  error: Refusal | null;
} {
  const [found, setFound] = useState<Found | null>(null);
  const [error, setError] = useState<{ path: string; refusal: Refusal } | null>(null);
  useEffect(() => {
    if (path === null) return;
    let ended = false;
    classesAt(path).then(
      (map) => {
        if (!ended) setFound({ path, map });
      },
      (failure: unknown) => {
        if (!ended) setError({ path, refusal: asRefusal(failure) });
      },
    );
    return () => {
      ended = true;
    };
  }, [path]);
  const failed = error !== null && error.path === path;
  return {
    map: path === null ? null : (found?.map ?? null),
    busy: path !== null && found?.path !== path && !failed,
    error: failed ? error.refusal : null,
  };
}

/** A picture, and while another is coming the one from before. */
export function usePictures(paths: readonly string[]): {
  images: (HTMLImageElement | null)[];
  error: string | null;
} {
  const [images, setImages] = useState<(HTMLImageElement | null)[]>([]);
  const [error, setError] = useState<string | null>(null);
  const key = paths.join('\n');
  useEffect(() => {
    let ended = false;
    setError(null);
    for (const [index, path] of paths.entries()) {
      const image = new Image();
      image.decoding = 'async';
      image.src = path;
      image.decode().then(
        () => {
          if (ended) return;
          setImages((before) => paths.map((_, i) => (i === index ? image : (before[i] ?? null))));
        },
        () => {
          if (!ended) setError(path);
        },
      );
    }
    return () => {
      ended = true;
    };
  }, [key]);
  return { images, error };
}
