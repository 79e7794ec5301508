// The command line's help loads this: nothing that knows a tensor is imported.

/** What a stream's predictions are written as. */
export const STREAM_WRITES = ['overlay', 'overlay-rgb24', 'classes', 'classes-pgm'] as const;
/** Name of what a stream's predictions are written as. */
export type StreamWrites = (typeof STREAM_WRITES)[number];
