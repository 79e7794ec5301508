import type { MetricsLine } from '../metrics.js';

type Cell = [name: string, value: number | null];

/** A case of an evaluation that a head was measured in. */
export interface LoggedCase {
  model: string;
  head: string;
  name: string;
  cells: Cell[];
}

/**
 * The numbers of a line of the log by the names that they have there, `parts/sup`; a list has one for each
 * class, or for each of its places. Of an evaluation only those of the whole.
 */
export function cellsOf(line: MetricsLine, classes: readonly string[]): Cell[] {
  const { kind: _, iteration: __, models: ___, ...values } = line;
  return flatten(values, classes);
}

/** What an evaluation measured of each head in each case; nothing of another line. */
export function casesOf(line: MetricsLine, classes: readonly string[]): LoggedCase[] {
  return listOf(line.models).flatMap(({ model, heads }) =>
    listOf(heads).flatMap(({ head, robustMeanIoU, cases }) =>
      listOf(cases).map(({ name, ...measured }) => ({
        model: String(model),
        head: String(head),
        name: String(name),
        cells: flatten({ robustMeanIoU, ...measured }, classes),
      })),
    ),
  );
}

/** All numbers of a line, by names that tell them apart. */
export function scalarsOf(
  line: MetricsLine,
  classes: readonly string[],
): [name: string, value: number][] {
  const own = cellsOf(line, classes).map(([name, value]): Cell => [`${line.kind}/${name}`, value]);
  const ofCases = casesOf(line, classes).flatMap(({ model, head, name, cells }) =>
    cells.map(([cell, value]): Cell => {
      const [measure, ...rest] = cell.split('/');
      if (measure === 'robustMeanIoU') return [`robustMeanIoU/${model} ${head}`, value];
      return [[measure, `${model} ${head}`, name, ...rest].join('/'), value];
    }),
  );
  const all = new Map([...own, ...ofCases]);
  return [...all].filter((cell): cell is [string, number] => Number.isFinite(cell[1]));
}

function flatten(values: Readonly<Record<string, unknown>>, classes: readonly string[]): Cell[] {
  return Object.entries(values).flatMap(([name, value]): Cell[] => {
    if (typeof value === 'number' || value === null) return [[name, value]];
    if (Array.isArray(value)) {
      if (!value.every((one) => typeof one === 'number' || one === null)) return [];
      const names = value.length === classes.length ? classes : [...value.keys()].map(String);
      return value.map((one: number | null, i): Cell => [`${name}/${names[i]}`, one]);
    }
    if (typeof value !== 'object') return [];
    return flatten(value as Record<string, unknown>, classes).map(
      ([inner, one]): Cell => [`${name}/${inner}`, one],
    );
  });
}

function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value : [];
}
