/** What a progress bar shows besides how far it is. */
export interface ProgressState {
  /** Steps done. */
  done: number;
  loss?: number | undefined;
  imagesPerSecond?: number | undefined;
  /** Of the latest evaluation, 0 to 1. */
  meanIoU?: number | null | undefined;
}

export interface Progress {
  update(state: ProgressState): void;
  /** A line above the bar that stays. */
  note(line: string): void;
  end(): void;
}

interface Terminal {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/** On a terminal a bar is drawn at most this often, in milliseconds. */
const REDRAW = 100;
/** Elsewhere a line is written at most this often, and at every tenth of the way. */
const LINE = 10_000;

/**
 * Progress of a known number of steps: a bar on a terminal, a line now and then elsewhere.
 *
 * @param started steps that were done before this process began (a resumed run)
 */
export function createProgress({
  label,
  total,
  started = 0,
  stream = process.stderr as Terminal,
  now = Date.now as () => number,
}: {
  label: string;
  total: number;
  started?: number;
  stream?: Terminal;
  now?: () => number;
}): Progress {
  const begin = now();
  let drawn = Number.NEGATIVE_INFINITY;
  let tenth = Math.floor((10 * started) / total);
  let bar = '';

  const clear = () => {
    if (bar !== '') stream.write('\r\u001b[2K');
  };

  return {
    update(state) {
      const time = now();
      const last = state.done >= total;
      const facts = describe(state, total, started, (time - begin) / 1000);
      if (stream.isTTY) {
        if (!last && time - drawn < REDRAW) return;
        const width = Math.max(10, Math.min(30, (stream.columns ?? 80) - label.length - 60));
        const filled = Math.round((width * state.done) / total);
        const line = `${label} ${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${facts}`;
        clear();
        bar = line.slice(0, (stream.columns ?? 80) - 1);
        stream.write(bar);
        drawn = time;
        return;
      }
      const reached = Math.floor((10 * state.done) / total);
      if (!last && reached === tenth && time - drawn < LINE) return;
      if (drawn === Number.NEGATIVE_INFINITY && !last && reached === tenth) {
        // The first line comes after one interval, not at once.
        drawn = time;
        return;
      }
      tenth = reached;
      drawn = time;
      stream.write(`${label} ${facts}\n`);
    },
    note(line) {
      clear();
      stream.write(`${line}\n`);
      if (bar !== '') stream.write(bar);
    },
    end() {
      if (bar !== '') stream.write('\n');
      bar = '';
    },
  };
}

function describe(state: ProgressState, total: number, started: number, seconds: number): string {
  const { done, loss, imagesPerSecond, meanIoU } = state;
  const parts = [`${String(done).padStart(String(total).length)}/${total}`];
  const fresh = done - started;
  if (fresh > 0 && done < total) parts.push(`ETA ${duration((seconds / fresh) * (total - done))}`);
  if (done >= total) parts.push(duration(seconds));
  if (loss !== undefined) parts.push(`loss ${loss.toFixed(3)}`);
  if (imagesPerSecond !== undefined) parts.push(`${imagesPerSecond.toFixed(1)} img/s`);
  if (meanIoU !== undefined && meanIoU !== null) parts.push(`mIoU ${(100 * meanIoU).toFixed(1)}`);
  return parts.join('  ');
}

/** Seconds as `8 s`, `2:05` or `1:02:05`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, i) => (i === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}
