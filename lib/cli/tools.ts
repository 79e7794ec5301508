interface Tool {
  name: string;
  /** Whether a build does without. */
  optional: boolean;
  ok: boolean;
  found: string;
  fix: string | null;
}

/** scripts/tools.mjs, which has to run in a clone where nothing is compiled yet. */
export interface Tools {
  buildTools(): Tool[];
  /** Why m3l does not support this Node, or null. */
  nodeFault(): string | null;
}

export function tools(): Promise<Tools> {
  return import(new URL('../../scripts/tools.mjs', import.meta.url).href) as Promise<Tools>;
}
