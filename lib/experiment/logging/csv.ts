import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { appendWhole, makeFolder, writeFileAtomic } from '../../torch/atomic-write.js';
import type { MetricsLine } from '../metrics.js';
import type { LoggerDescriptor } from './logger.js';
import { casesOf, cellsOf } from './scalars.js';

type Row = ReadonlyMap<string, string | number | null>;

/** Tables of one row a record, of what the run's log holds. */
export const csv = {
  name: 'csv',
  summary:
    '`RUN/csv/train.csv` (a row a step), `health.csv` (a row a window) and `evaluation.csv` (a row for each case of each head)',
  open({ folder, classes, earlier }) {
    const place = join(folder, 'csv');
    makeFolder(place);
    const kinds = ['train', 'health', 'evaluation'] as const;
    const tables = Object.fromEntries(
      kinds.map((kind) => {
        const lines = earlier.filter((line) => line.kind === kind);
        const rows = lines.flatMap((line) => rowsOf(line, classes));
        return [kind, new Table(join(place, `${kind}.csv`), rows)];
      }),
    );
    return {
      log(line) {
        tables[line.kind]?.add(rowsOf(line, classes));
      },
      close() {},
    };
  },
} as const satisfies LoggerDescriptor;

function rowsOf(line: MetricsLine, classes: readonly string[]): Row[] {
  const { kind, iteration } = line;
  if (kind !== 'evaluation')
    return [new Map([['iteration', iteration], ...cellsOf(line, classes)])];
  return casesOf(line, classes).map(
    ({ model, head, name, cells }) =>
      new Map<string, string | number | null>([
        ['iteration', iteration],
        ...Object.entries({ model, head, case: name }),
        ...cells,
      ]),
  );
}

/** A file, empty until it has a row. Columns never move: a new one comes last, for all rows. */
class Table {
  readonly #columns: string[] = [];

  /** @param rows what it is to hold, whatever stands there */
  constructor(
    private readonly file: string,
    rows: readonly Row[],
  ) {
    this.#meet(rows);
    const lines = rows.map((row) => this.#line(row));
    const none = rows.length === 0;
    writeFileAtomic(file, none ? '' : `${this.#header()}${lines.join('')}`);
  }

  add(rows: readonly Row[]): void {
    const before = this.#columns.length;
    this.#meet(rows);
    const added = this.#columns.length - before;
    if (added > 0) {
      const [, ...lines] = before === 0 ? [] : readFileSync(this.file, 'utf8').split('\n');
      const wider = lines.map((line) => (line === '' ? line : `${line}${','.repeat(added)}`));
      writeFileAtomic(this.file, `${this.#header()}${wider.join('\n')}`);
    }
    const bytes = Buffer.from(rows.map((row) => this.#line(row)).join(''));
    const file = openSync(this.file, 'a');
    try {
      appendWhole(file, bytes);
    } finally {
      closeSync(file);
    }
  }

  #meet(rows: readonly Row[]): void {
    for (const row of rows) {
      for (const name of row.keys()) if (!this.#columns.includes(name)) this.#columns.push(name);
    }
  }

  #header(): string {
    return `${this.#columns.map(cell).join(',')}\n`;
  }

  #line(row: Row): string {
    return `${this.#columns.map((name) => cell(row.get(name) ?? '')).join(',')}\n`;
  }
}

/** A record is a line: what has a line's end in it gets a space for it. */
function cell(value: string | number): string {
  const text = String(value).replaceAll(/[\r\n]+/g, ' ');
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
