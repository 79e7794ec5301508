/** What a progress bar shows besides how far it is. */
export interface ProgressState {
  /** Steps done. */
  done: number;
  loss?: number | undefined;
  imagesPerSecond?: number | undefined;
  /** λ as it stands, and the share of the unlabelled pixels that have a pseudo label. */
  pseudoWeight?: number | undefined;
  pseudoUsed?: number | undefined;
  /** Of the latest evaluation, 0 to 1. */
  robustMeanIoU?: number | null | undefined;
  /** How far the evaluation is that is under way between two steps. */
  evaluated?: { done: number; images: number } | undefined;
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
/** A bar has at most this many cells, and is left out where there is no room for the least. */
const CELLS = { least: 10, most: 30 };

/**
 * Progress of a known number of steps: a bar on a terminal, a line now and then elsewhere (a pipe, a
 * file, a terminal that says by TERM=dumb that it cannot move its cursor).
 *
 * @param started steps that were done before this process began (a resumed run)
 */
export function createProgress({
  label,
  total,
  started = 0,
  stream = process.stderr as Terminal,
  dumb = process.env.TERM === 'dumb',
  now = Date.now as () => number,
}: {
  label: string;
  total: number;
  started?: number;
  stream?: Terminal;
  dumb?: boolean;
  now?: () => number;
}): Progress {
  const begin = now();
  const drawsBars = stream.isTTY === true && !dumb;
  let drawn = Number.NEGATIVE_INFINITY;
  let tenth = tenthOf(started, total);
  let bar = '';

  const clear = () => {
    if (bar !== '') stream.write('\r\u001b[2K');
  };

  return {
    update(state) {
      const time = now();
      const last = state.done >= total && state.evaluated === undefined;
      const facts = describe(state, total, started, (time - begin) / 1000);
      if (drawsBars) {
        if (!last && time - drawn < REDRAW) return;
        clear();
        // Some pseudo terminals say that they have no columns.
        bar = barLine(label, state.done / total, facts, stream.columns || 80);
        stream.write(bar);
        drawn = time;
        return;
      }
      const reached = tenthOf(state.done, total);
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

function tenthOf(done: number, total: number): number {
  return total === 0 ? 0 : Math.floor((10 * done) / total);
}

/** One line that ends a column short of the terminal's width, past which some wrap. */
function barLine(label: string, share: number, facts: string, columns: number): string {
  const room = columns - label.length - 60;
  const cells = Math.max(CELLS.least, Math.min(CELLS.most, room));
  const filled = Math.round(cells * share);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(cells - filled)} `;
  const fits = label.length + 1 + bar.length + facts.length < columns;
  return `${label} ${fits ? bar : ''}${facts}`.slice(0, columns - 1);
}

function describe(state: ProgressState, total: number, started: number, seconds: number): string {
  const { done, loss, imagesPerSecond, robustMeanIoU, evaluated } = state;
  const { pseudoWeight, pseudoUsed } = state;
  const parts = [`${String(done).padStart(String(total).length)}/${total}`];
  if (evaluated !== undefined)
    parts.push(`evaluating ${evaluated.done}/${evaluated.images} images`);
  const fresh = done - started;
  if (fresh > 0 && done < total) parts.push(`ETA ${duration((seconds / fresh) * (total - done))}`);
  if (done >= total) parts.push(duration(seconds));
  if (loss !== undefined) parts.push(`loss ${loss.toFixed(3)}`);
  if (pseudoWeight !== undefined && pseudoUsed !== undefined) {
    parts.push(`λ ${pseudoWeight.toFixed(2)} on ${Math.round(100 * pseudoUsed)} %`);
  }
  if (imagesPerSecond !== undefined) parts.push(`${imagesPerSecond.toFixed(1)} img/s`);
  if (robustMeanIoU !== undefined && robustMeanIoU !== null) {
    parts.push(`robust mIoU ${(100 * robustMeanIoU).toFixed(1)}`);
  }
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
