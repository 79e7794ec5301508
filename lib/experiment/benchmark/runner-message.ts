/** What the process of a training tells. */
export type RunnerMessage =
  | { kind: 'start'; iterations: number }
  | { kind: 'step'; iteration: number }
  | { kind: 'done' }
  | { kind: 'stopped' }
  | { kind: 'failed'; reason: string };
