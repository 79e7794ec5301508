import { widthOf } from './width.js';

/** A plain text table: the first columns are text (left), the others are numbers (right). */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  texts = 1,
) {
  const widths = header.map((title, column) =>
    Math.max(widthOf(title), ...rows.map((row) => widthOf(row[column] ?? ''))),
  );
  const format = (row: readonly string[]) =>
    row
      .map((cell, column) => {
        const space = ' '.repeat(widths[column]! - widthOf(cell));
        return column < texts ? cell + space : space + cell;
      })
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('──');
  return [format(header), rule, ...rows.map(format)].join('\n');
}

/** A share between 0 and 1 as a percentage with one decimal; a dash where there is none. */
export function percent(value: number | null | undefined): string {
  return value === null || value === undefined || Number.isNaN(value)
    ? '–'
    : (100 * value).toFixed(1);
}
