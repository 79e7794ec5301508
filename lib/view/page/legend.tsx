import { memo } from './memo.js';
import { percent } from './text.js';

/** A class and what of the scene it is. */
export interface LegendRow {
  index: number;
  name: string;
  colour: string;
  labelled: number | null;
  predicted: number | null;
  iou: number | null;
}

/** The classes that occur; one that is pointed at stands out in the picture. */
export const Legend = memo(function Legend({
  rows,
  only,
  onOnly,
}: {
  rows: readonly LegendRow[];
  only: number | null;
  onOnly: (index: number | null) => void;
}) {
  const columns = [
    ['labelled', 'label %'],
    ['predicted', 'says %'],
    ['iou', 'IoU'],
  ] as const;
  const shown = columns.filter(([key]) => rows.some((row) => row[key] !== null));
  return (
    <table class="legend">
      <thead>
        <tr>
          <th scope="col">Class</th>
          {shown.map(([key, title]) => (
            <th key={key} scope="col" class="number">
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.index} class={only === row.index ? 'only' : ''}>
            <th scope="row">
              <button
                type="button"
                aria-pressed={only === row.index}
                onClick={() => onOnly(only === row.index ? null : row.index)}
              >
                <span class="swatch" style={{ background: row.colour }} aria-hidden="true" />
                {row.name}
              </button>
            </th>
            {shown.map(([key]) => (
              <td key={key} class="number">
                {percent(row[key])}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
});
