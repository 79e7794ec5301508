import { useEffect, useState } from 'preact/hooks';

/** What the server found wrong, in its words. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

async function answerTo(path: string, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, signal ? { signal } : {});
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(
      'M3L_VIEW_GONE',
      'The server does not answer: was m3l view ended? Start it again, and load this page anew.',
    );
  }
  if (response.ok) return response;
  const body = (await response.json().catch(() => null)) as {
    error?: { code: string; message: string };
  } | null;
  throw new Refusal(
    body?.error?.code ?? `HTTP ${response.status}`,
    body?.error?.message ?? response.statusText,
  );
}

export async function askJson<Value>(path: string, signal?: AbortSignal): Promise<Value> {
  return (await (await answerTo(path, signal)).json()) as Value;
}

/** A class a pixel; 255 is void. */
export interface ClassMap {
  height: number;
  width: number;
  classes: Uint8Array;
}

export async function askClasses(path: string, signal?: AbortSignal): Promise<ClassMap> {
  const response = await answerTo(path, signal);
  return {
    height: Number(response.headers.get('x-height')),
    width: Number(response.headers.get('x-width')),
    classes: new Uint8Array(await response.arrayBuffer()),
  };
}

/** What was asked for: not there yet, there, or why it is not. */
export interface Asked<Value> {
  value: Value | null;
  error: Refusal | null;
}

/**
 * Asks when the page shows it, and anew when the path changes; null asks for nothing. Another `stamp` asks
 * again too, and what is known stays meanwhile.
 */
export function useJson<Value>(path: string | null, stamp = ''): Asked<Value> {
  const [state, setState] = useState<Asked<Value> & { path: string | null }>({
    path: null,
    value: null,
    error: null,
  });
  useEffect(() => {
    if (path === null) return;
    const controller = new AbortController();
    askJson<Value>(path, controller.signal).then(
      (value) => setState({ path, value, error: null }),
      (error: unknown) => {
        if (!controller.signal.aborted) setState({ path, value: null, error: asRefusal(error) });
      },
    );
    return () => controller.abort();
  }, [path, stamp]);
  return state.path === path ? state : { value: null, error: null };
}

export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  return new Refusal('M3L_PAGE', error instanceof Error ? error.message : String(error));
}

/** `name=a&name=b` */
export function many(name: string, values: readonly string[]): string {
  return values.map((value) => `${name}=${encodeURIComponent(value)}`).join('&');
}
