import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { memo } from './memo.js';
import { short } from './text.js';
import { DASHES, type Theme, useTheme } from './theme.js';

/** A line of a chart. */
export interface Line {
  name: string;
  x: readonly number[];
  y: readonly (number | null)[];
  points?: boolean;
  /** Which colour, where not the line's own place among the lines. */
  colour?: number;
}

interface ChartProps {
  title: string;
  lines: readonly Line[];
  /** What runs along the axis below (iteration). */
  across?: string;
  log?: boolean;
  format?: (value: number | null) => string;
  /** Least and greatest value, where the axis is fixed. */
  range?: readonly [number, number];
  /** Charts of one group show the same place. */
  group?: string;
}

const HEIGHT = 210;

/** Lines over one axis. The values under the pointer, or the last, stand beside their names. */
export const Chart = memo(function Chart({
  title,
  lines,
  across = 'iteration',
  format = short,
  ...rest
}: ChartProps) {
  const theme = useTheme();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const { log = false, range, group } = rest;
  const shape = lines.map(({ name, points, colour }) => `${name}|${points}|${colour}`).join('\n');
  const data = useMemo(() => aligned(lines), [lines]);
  useEffect(() => {
    const element = box.current!;
    const made = new uPlot(
      optionsOf(lines, {
        theme,
        width: element.clientWidth,
        log,
        range,
        group,
        format,
        onAt: setAt,
      }),
      data,
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => {
      made.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, theme, log, group]);
  useEffect(() => {
    const made = plot.current;
    if (made === null || made.data === data) return;
    // Who looks closer at a part goes on looking at it.
    const { min, max } = made.scales.x!;
    const [places] = made.data;
    const whole = min === places[0] && max === places.at(-1);
    made.setData(data, whole || places.length < 2);
    if (!whole) made.redraw();
  }, [data]);

  const x = data[0];
  const index = at ?? x.length - 1;
  const place = x[index];
  const values = lines.map((_, i) => valueAt(data[i + 1]!, index, at === null));
  const onKey = (event: KeyboardEvent) => {
    const to = placeByKey(event.key, { at: index, last: x.length - 1 });
    if (to === undefined || plot.current === null) return;
    event.preventDefault();
    point(to === null ? null : x[to]!);
  };
  /** As the pointer does; the charts of the group follow. */
  const point = (place: number | null) => {
    const plots = group === undefined ? [plot.current!] : uPlot.sync(group).plots;
    for (const each of plots) {
      const left = place === null ? -10 : each.valToPos(place, 'x');
      each.setCursor({ left, top: place === null ? -10 : 0 });
    }
  };
  const told = lines.map(({ name }, i) => `${name} ${format(values[i]!)}`).join(', ');
  return (
    <figure class="chart">
      <figcaption>
        <h3>{title}</h3>
        <span class="soft">{place === undefined ? '' : `${across} ${short(place)}`}</span>
      </figcaption>
      <div
        class="plot"
        ref={box}
        role="slider"
        tabIndex={0}
        aria-label={title}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, x.length - 1)}
        aria-valuenow={Math.max(0, index)}
        aria-valuetext={`${place === undefined ? '' : `${across} ${short(place)}: `}${told}`}
        onKeyDown={onKey}
        onBlur={() => plot.current && point(null)}
      />
      <ul class="keys">
        {lines.map(({ name, colour }, i) => (
          <li key={name}>
            <svg width="18" height="8" aria-hidden="true">
              <line
                x1="0"
                x2="18"
                y1="4"
                y2="4"
                stroke={colourOf(theme, colour ?? i)}
                stroke-width="2.5"
                stroke-dasharray={dashOf(colour ?? i).join(' ')}
              />
            </svg>
            <span>{name}</span>
            <b>{format(values[i]!)}</b>
          </li>
        ))}
      </ul>
    </figure>
  );
});

export const colourOf = ({ curves }: Theme, index: number) => curves[index % curves.length]!;
const dashOf = (index: number) => DASHES[index % DASHES.length]!;

/** Where a key leads along the axis; null: to no place, undefined: it is no key of a chart. */
function placeByKey(key: string, { at, last }: { at: number; last: number }) {
  const step = Math.max(1, Math.round(last / 20));
  const places: Record<string, number | null> = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    PageDown: at - step,
    PageUp: at + step,
    Home: 0,
    End: last,
    Escape: null,
  };
  const to = places[key];
  return typeof to === 'number' ? Math.min(last, Math.max(0, to)) : to;
}

/** The last value there is, or the one at a place. */
function valueAt(column: readonly (number | null | undefined)[], index: number, last: boolean) {
  if (!last) return column[index] ?? null;
  for (let i = column.length - 1; i >= 0; i--) {
    const value = column[i];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

/** Lines over places of their own, over all of them. */
function aligned(lines: readonly Line[]): [number[], ...(number | null | undefined)[][]] {
  const [first] = lines;
  if (first === undefined) return [[]];
  if (lines.every(({ x }) => x === first.x)) {
    return [[...first.x], ...lines.map(({ y }) => [...y])];
  }
  const all = [...new Set(lines.flatMap(({ x }) => x))].sort((a, b) => a - b);
  const places = new Map(all.map((x, index) => [x, index]));
  return [
    all,
    ...lines.map(({ x, y }) => {
      // Undefined joins what is on both sides, null does not.
      const column = new Array<number | null | undefined>(all.length).fill(undefined);
      for (const [i, place] of x.entries()) column[places.get(place)!] = y[i];
      return column;
    }),
  ];
}

function optionsOf(
  lines: readonly Line[],
  {
    theme,
    width,
    log,
    range,
    group,
    format,
    onAt,
  }: {
    theme: Theme;
    width: number;
    log: boolean;
    range: readonly [number, number] | undefined;
    group: string | undefined;
    format: (value: number | null) => string;
    onAt: (index: number | null) => void;
  },
): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: theme.soft,
    grid: { stroke: theme.line, width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    // Half of the last tick stands beyond the plot.
    padding: [8, 18, 0, 0],
    cursor: {
      y: false,
      drag: { x: true, y: false },
      points: { size: 6 },
      ...(group === undefined ? {} : { sync: { key: group } }),
    },
    scales: {
      x: { time: false },
      y: {
        distr: log ? 3 : 1,
        ...(range === undefined ? {} : { range: [range[0], range[1]] as [number, number] }),
      },
    },
    axes: [
      { ...axis, size: 28, values: (_, ticks) => ticks.map((tick) => short(tick)) },
      { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => tickText(tick, format)) },
    ],
    series: [
      {},
      ...lines.map(
        ({ name, points, colour }, i): uPlot.Series => ({
          label: name,
          stroke: colourOf(theme, colour ?? i),
          width: 1.75,
          dash: [...dashOf(colour ?? i)],
          points: points ? { show: true, size: 5 } : { show: false },
        }),
      ),
    ],
    hooks: {
      setCursor: [({ cursor }) => onAt(cursor.idx ?? null)],
    },
  };
}

/** Without the decimals that only a value needs, and without a unit. */
function tickText(tick: number | null, format: (value: number | null) => string): string {
  // A logarithmic axis leaves most of its ticks without a text.
  return tick === null
    ? ''
    : format(tick)
        .replace(/\.0+(?= |$)/, '')
        .replace(/ MiB$/, '');
}

/** An exponential moving average, without the pull to its beginning. */
export function smoothed(values: readonly (number | null)[], weight: number): (number | null)[] {
  if (weight === 0) return [...values];
  let [sum, total] = [0, 0];
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    total = weight * total + (1 - weight);
    return sum / total;
  });
}
