import { useMemo } from 'preact/hooks';
import type { CaseReport, RunRobustness } from '../api.js';
import { useJson } from './ask.js';
import { Chart, type Line } from './chart.js';
import type { LiveRun } from './live.js';
import { Empty, Problem, Waiting } from './parts.js';
import { percent } from './text.js';

/** How runs fall off as their inputs get worse, and whether they are right as often as they are sure. */
export function RobustnessPage({ runs }: { runs: readonly LiveRun[] }) {
  return (
    <>
      <h2>As inputs get worse</h2>
      <div class="charts">
        {runs.map((run) => (
          <Curves key={run.id} run={run} />
        ))}
      </div>
      <h2>As often right as sure</h2>
      <div class="charts">
        {runs.map((run) => (
          <Calibration key={run.id} run={run} />
        ))}
      </div>
    </>
  );
}

function Curves({ run: { id, summary } }: { run: LiveRun }) {
  const { value, error } = useJson<RunRobustness | { curves: null }>(
    `/api/runs/${encodeURIComponent(id)}/robustness`,
  );
  const lines = useMemo(
    () =>
      (value?.curves ?? []).map(
        ({ corruption, modalities, points }): Line => ({
          name: `${corruption} of ${modalities.join(', ')}`,
          x: points.map(({ severity }) => severity),
          y: points.map(({ meanIoU }) => meanIoU),
          points: true,
        }),
      ),
    [value],
  );
  if (error) return <Problem error={error} />;
  if (value === null) return <Waiting what="Reading robustness.json" />;
  if (value.curves === null) {
    return (
      <Empty title={`${id}: not measured yet`}>
        <p>
          Measure it, and load this view anew: <code>m3l robustness {summary.folder}</code>
        </p>
      </Empty>
    );
  }
  return <Chart title={`${id}: mIoU (%)`} lines={lines} across="severity" format={inPercent} />;
}

function Calibration({ run: { id, latest } }: { run: LiveRun }) {
  const cases = useMemo(
    () => (latest?.heads[0]?.cases ?? []).filter(({ reliability }) => reliability),
    [latest],
  );
  const lines = useMemo(() => [diagonal, ...cases.map(lineOf)], [cases]);
  if (cases.length === 0) {
    return (
      <Empty title={`${id}: not measured`}>
        <p>
          Have it measured while training: <code>--set evaluate.calibration=true</code>
        </p>
      </Empty>
    );
  }
  return (
    <Chart
      title={`${id}: how often it is right`}
      lines={lines}
      across="how sure it is"
      range={WHOLE}
      format={roughly}
    />
  );
}

const WHOLE = [0, 1] as const;
const inPercent = (value: number | null) => percent(value);
const roughly = (value: number | null) => percent(value, 0);

const diagonal: Line = { name: 'ideal', x: [0, 1], y: [0, 1], colour: 6 };

function lineOf({ name, calibrationError, reliability = [] }: CaseReport, index: number): Line {
  const bins = reliability.filter(({ pixels, confidence }) => pixels > 0 && confidence !== null);
  return {
    name: `${name} (error ${percent(calibrationError)} %)`,
    x: bins.map(({ confidence }) => confidence!),
    y: bins.map(({ accuracy }) => accuracy),
    points: true,
    colour: index,
  };
}
