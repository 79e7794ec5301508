const told = new Set<string>();
/** Texts may hold sizes: no more of them are remembered than this. */
const MOST = 1000;

/** Emits a warning of libtorch's as Node's, each text once in a process: a step repeats its own. */
export function emitWarning(message: string): void {
  if (told.has(message) || told.size === MOST) return;
  told.add(message);
  process.emitWarning(message, { type: 'TorchWarning', code: 'M3L_TORCH' });
}
