import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Curves } from '../api.js';
import { Chart, type Line, smoothed } from './chart.js';
import type { LiveRun } from './live.js';
import { Empty } from './parts.js';
import { linkTo, type Route, replaceRoute } from './route.js';
import { measureName, percent, short } from './text.js';

/** Charts of one run hold what belongs together; of several, one measure each, a line a run. */
interface Group {
  title: string;
  of: (name: string) => boolean;
  log: boolean;
  format?: (value: number | null) => string;
}

const megabytes = (value: number | null) =>
  value === null ? '–' : `${(value / 2 ** 20).toFixed(0)} MiB`;

const GROUPS: readonly Group[] = [
  { title: 'Loss', of: (name) => name === 'loss' || name.startsWith('parts.'), log: true },
  { title: 'Learning rate', of: (name) => name.startsWith('learningRate'), log: false },
  {
    title: 'Samples a second',
    of: (name) => name === 'imagesPerSecond',
    log: false,
  },
  { title: 'Memory', of: (name) => /memory/i.test(name), log: false, format: megabytes },
  { title: 'Gradient norm', of: (name) => name === 'gradientNorm', log: true },
];

const USUAL_SMOOTHING = 0.6;

export function CurvesPage({ runs, route }: { runs: readonly LiveRun[]; route: Route }) {
  const linked = smoothingOf(route);
  const [smoothing, setSmoothing] = useState(linked);
  useEffect(() => setSmoothing(linked), [linked]);
  const log = route.query.get('scale') === 'log';
  const charts = useCharts(runs, smoothing);
  if (runs.every(({ train, evaluations }) => train.x.length + evaluations.length === 0)) {
    return (
      <Empty title="Nothing is logged yet">
        <p>Curves appear here with the first training step; the page need not be loaded again.</p>
      </Empty>
    );
  }
  const go = (to: { smoothing: number; log: boolean }) =>
    replaceRoute(
      linkTo(route.path, {
        smoothing: to.smoothing === USUAL_SMOOTHING ? '' : `${to.smoothing}`,
        scale: to.log ? 'log' : '',
      }),
    );
  return (
    <>
      <div class="bar">
        <label>
          Smoothing
          <input
            type="range"
            min="0"
            max="0.99"
            step="0.01"
            value={smoothing}
            onInput={(event) => setSmoothing(Number(event.currentTarget.value))}
            onChange={() => go({ smoothing, log })}
          />
          <output>{smoothing.toFixed(2)}</output>
        </label>
        <label>
          <input
            type="checkbox"
            checked={log}
            onChange={(event) => go({ smoothing, log: event.currentTarget.checked })}
          />
          Logarithmic loss
        </label>
        <span class="soft grow">
          Drag across a chart to look closer; a double click shows all. Arrow keys tell its values.
        </span>
      </div>
      <div class="charts">
        {charts.map(({ title, lines, format, log: canLog }) => (
          <Chart
            key={title}
            title={title}
            lines={lines}
            log={log && canLog}
            group="iterations"
            {...(format === undefined ? {} : { format })}
          />
        ))}
      </div>
    </>
  );
}

function smoothingOf({ query }: Route): number {
  const given = query.get('smoothing');
  const wanted = given === null ? USUAL_SMOOTHING : Number(given);
  return wanted >= 0 && wanted <= 0.99 ? wanted : USUAL_SMOOTHING;
}

/** Of each kind the same until something came of it: what did not change is not drawn anew. */
function useCharts(runs: readonly LiveRun[], smoothing: number): ChartOf[] {
  const evaluations = useMemo(
    () => evaluationCharts(runs),
    runs.map((run) => run.evaluations),
  );
  const train = useMemo(
    () => trainCharts(runs, smoothing),
    [smoothing, ...runs.map((run) => run.train)],
  );
  const health = useMemo(
    () => healthCharts(runs),
    runs.map((run) => run.health),
  );
  return [...evaluations, ...train, ...health];
}

interface ChartOf {
  title: string;
  lines: Line[];
  log: boolean;
  format?: ((value: number | null) => string) | undefined;
}

function evaluationCharts(runs: readonly LiveRun[]): ChartOf[] {
  const format = (value: number | null) => percent(value);
  const chart = (title: string, lines: Line[]) => ({ title, lines, log: false, format });
  const cases = (run: LiveRun) => Object.keys(run.evaluations.at(-1)?.cases ?? {});
  const line = (run: LiveRun, name: string, key: string | null): Line => ({
    name,
    x: run.evaluations.map(({ iteration }) => iteration),
    y: run.evaluations.map((each) =>
      key === null ? each.robustMeanIoU : (each.cases[key] ?? null),
    ),
    points: true,
  });
  const [first, ...others] = runs;
  if (first === undefined || runs.every(({ evaluations }) => evaluations.length === 0)) return [];
  if (others.length === 0) {
    return [
      chart('mIoU (%)', [
        line(first, 'robust', null),
        ...cases(first).map((name) => line(first, name, name)),
      ]),
    ];
  }
  const names = [...new Set(runs.flatMap(cases))];
  return [
    chart(
      'Robust mIoU (%)',
      runs.map((run) => line(run, run.id, null)),
    ),
    ...names.map((name) =>
      chart(
        `mIoU (%), ${name}`,
        runs.map((run) => line(run, run.id, name)),
      ),
    ),
  ];
}

function trainCharts(runs: readonly LiveRun[], smoothing: number): ChartOf[] {
  const names = namesIn(runs.map(({ train }) => train));
  const grouped = GROUPS.map((group) => ({ ...group, names: names.filter(group.of) }));
  const rest = names.filter((name) => !GROUPS.some((group) => group.of(name)));
  return [...grouped, ...rest.map(single)].flatMap((group) =>
    chartsOf(runs, group, ({ train }) => train, smoothing),
  );
}

function healthCharts(runs: readonly LiveRun[]): ChartOf[] {
  return namesIn(runs.map(({ health }) => health))
    .map(single)
    .flatMap((group) => chartsOf(runs, group, ({ health }) => health, 0));
}

const single = (name: string) => ({ title: capital(measureName(name)), names: [name], log: false });
const capital = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

function chartsOf(
  runs: readonly LiveRun[],
  group: { title: string; names: string[]; log: boolean; format?: Group['format'] },
  curvesOf: (run: LiveRun) => Curves,
  smoothing: number,
): ChartOf[] {
  const { title, names, log, format = short } = group;
  if (names.length === 0) return [];
  const line = (run: LiveRun, name: string, key: string): Line => {
    const { x, columns } = curvesOf(run);
    return { name, x, y: smoothed(columns[key] ?? x.map(() => null), isRate(key) ? 0 : smoothing) };
  };
  const [first, ...others] = runs;
  if (others.length === 0) {
    return [{ title, log, format, lines: names.map((key) => line(first!, measureName(key), key)) }];
  }
  return names.map((key) => ({
    title: names.length === 1 ? title : `${title}: ${measureName(key)}`,
    log,
    format,
    lines: runs.map((run) => line(run, run.id, key)),
  }));
}

const isRate = (key: string) => key.startsWith('learningRate') || /memory/i.test(key);

/** Those that hold a number at all. */
function namesIn(curves: readonly Curves[]): string[] {
  const names = curves.flatMap(({ columns }) =>
    Object.keys(columns).filter((name) => columns[name]!.some((value) => value !== null)),
  );
  return [...new Set(names)];
}
