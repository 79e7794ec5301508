import { fitted, printable, widthOf } from './width.js';

/** What a progress bar shows besides how far it is. */
export interface ProgressState {
  /** Steps done. */
  done: number;
  loss?: number | undefined;
  imagesPerSecond?: number | undefined;
  /** In use, in bytes: the device's, or the process's. */
  memory?: number | undefined;
  /** Where it is computed. */
  device?: string | undefined;
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

/** A part of the line: the higher, the sooner it goes where the terminal is narrow. */
interface Fact {
  text: string;
  rank: number;
}

/** Where the bar stands among them: it goes before what a training is read by. */
const BAR_RANK = 2;

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
  const name = printable(label);
  const drawsBars = stream.isTTY === true && !dumb;
  let drawn = Number.NEGATIVE_INFINITY;
  let tenth = tenthOf(started, total);
  let bar = '';
  // Some pseudo terminals say that they have no columns.
  const columns = () => stream.columns || 80;

  const clear = () => {
    if (bar === '') return;
    // In a terminal that was made narrower meanwhile the bar lies on several lines.
    const lines = Math.max(1, Math.ceil(widthOf(bar) / columns()));
    stream.write(`\r\u001b[2K${'\u001b[1A\u001b[2K'.repeat(lines - 1)}`);
  };

  return {
    update(state) {
      const time = now();
      const last = state.done >= total && state.evaluated === undefined;
      const facts = describe(state, total, started, (time - begin) / 1000);
      if (drawsBars) {
        if (!last && time - drawn < REDRAW) return;
        clear();
        bar = barLine(name, total === 0 ? 1 : state.done / total, facts, columns());
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
      stream.write(`${name} ${facts.map(({ text }) => text).join('  ')}\n`);
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
function barLine(label: string, share: number, facts: readonly Fact[], columns: number): string {
  let shown = [...facts];
  const textOf = () => shown.map(({ text }) => text).join('  ');
  const room = () => columns - 1 - widthOf(label) - 1 - widthOf(textOf());
  while (room() < CELLS.least + 1 && shown.some(({ rank }) => rank > BAR_RANK)) {
    shown = withoutLeast(shown);
  }
  if (room() >= CELLS.least + 1) {
    const cells = Math.min(CELLS.most, room() - 1);
    const filled = Math.round(cells * Math.min(1, share));
    return `${label} ${'█'.repeat(filled)}${'░'.repeat(cells - filled)} ${textOf()}`;
  }
  while (room() < 0 && shown.length > 1) shown = withoutLeast(shown);
  return fitted(room() < 0 ? textOf() : `${label} ${textOf()}`, columns - 1);
}

/** Without what matters least: the last of the highest rank. */
function withoutLeast(facts: readonly Fact[]): Fact[] {
  const highest = Math.max(...facts.map(({ rank }) => rank));
  const least = facts.findLastIndex(({ rank }) => rank === highest);
  return facts.filter((_, at) => at !== least);
}

function describe(state: ProgressState, total: number, started: number, seconds: number): Fact[] {
  const { done, loss, imagesPerSecond, robustMeanIoU, evaluated } = state;
  const { pseudoWeight, pseudoUsed, memory, device } = state;
  const facts: Fact[] = [];
  const tell = (rank: number, text: string) => facts.push({ rank, text });
  tell(0, `${String(done).padStart(String(total).length)}/${total}`);
  if (evaluated !== undefined) tell(1, `evaluating ${evaluated.done}/${evaluated.images} images`);
  const fresh = done - started;
  if (fresh > 0 && done < total) tell(1, `ETA ${duration((seconds / fresh) * (total - done))}`);
  if (done >= total) tell(1, duration(seconds));
  if (loss !== undefined) tell(2, `loss ${loss.toFixed(3)}`);
  if (pseudoWeight !== undefined && pseudoUsed !== undefined) {
    tell(6, `λ ${pseudoWeight.toFixed(2)} on ${Math.round(100 * pseudoUsed)} %`);
  }
  if (imagesPerSecond !== undefined) tell(3, `${imagesPerSecond.toFixed(1)} img/s`);
  if (robustMeanIoU !== undefined && robustMeanIoU !== null) {
    tell(2, `robust mIoU ${(100 * robustMeanIoU).toFixed(1)}`);
  }
  const where = [
    ...(memory === undefined ? [] : [bytes(memory)]),
    ...(device === undefined ? [] : [device]),
  ];
  if (where.length > 0) tell(5, where.join(' on '));
  return facts;
}

/** Bytes as `830 MB` or `12.4 GB`. */
function bytes(count: number): string {
  return count < 1e9 ? `${Math.round(count / 1e6)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

/** Seconds as `8 s`, `2:05` or `1:02:05`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, i) => (i === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}
