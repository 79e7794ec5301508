import { EXIT, printNote } from './output.js';

const SAVING = '\nFinishing the step and saving; once more to stop at once.';

/**
 * The first signal asks work to end as it does then (by default to finish its step and save), with
 * `reason` where given; the second ends the process.
 */
export function listenForInterruption({
  note = SAVING,
  reason,
}: {
  note?: string | null;
  reason?: () => Error;
} = {}): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    if (note !== null) printNote(note);
    controller.abort(reason?.());
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return {
    signal: controller.signal,
    stop() {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
    },
  };
}
