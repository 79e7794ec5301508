import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { ClassesPage } from './classes-page.js';
import { ConfigPage } from './config-page.js';
import { ConfusionPage } from './confusion-page.js';
import { CurvesPage } from './curves-page.js';
import { type LiveRun, useLiveRuns } from './live.js';
import { Problem, State, Waiting } from './parts.js';
import { RobustnessPage } from './robustness-page.js';
import { joinIds, linkTo, MOST_RUNS, type Route, splitIds } from './route.js';
import { ScenePage } from './scene-page.js';
import { percent } from './text.js';

const TABS = ['curves', 'scenes', 'classes', 'confusion', 'robustness', 'configuration'] as const;
type Tab = (typeof TABS)[number];

/** One run, or several side by side. */
export function RunPage({ route }: { route: Route }) {
  const ids = splitIds(route.path[1] ?? '').slice(0, MOST_RUNS);
  const tab = TABS.find((each) => each === route.path[2]) ?? 'curves';
  const { runs, error } = useLiveRuns(ids);
  const title = ids.length === 1 ? ids[0]! : `${ids.length} runs`;
  useEffect(() => {
    document.title = `${title} · ${tab} – m3l`;
  }, [title, tab]);
  return (
    <main class="page">
      <div class="head">
        <h1>{title}</h1>
        <RunStates runs={runs} several={ids.length > 1} />
      </div>
      <nav class="tabs" aria-label="Views of the run">
        {TABS.map((each) => (
          <a
            key={each}
            href={linkTo(['runs', joinIds(ids), each])}
            aria-current={each === tab ? 'page' : undefined}
          >
            {each}
          </a>
        ))}
      </nav>
      {error ? (
        <Problem error={error}>
          <p>
            <a href="#/">All runs</a>
          </p>
        </Problem>
      ) : (
        <View tab={tab} ids={ids} runs={runs} route={route} />
      )}
    </main>
  );
}

function View({
  tab,
  ids,
  runs,
  route,
}: {
  tab: Tab;
  ids: readonly string[];
  runs: readonly LiveRun[];
  route: Route;
}) {
  if (tab === 'scenes') {
    // Training saves where it evaluates and where it ends.
    const stamp = runs
      .map(({ summary, evaluations }) => `${summary.state} ${evaluations.length}`)
      .join();
    return (
      <>
        <Troubles runs={runs.filter(({ summary }) => summary.state === 'gone')} />
        <ScenePage key={ids.join()} ids={ids} stamp={stamp} route={route} />
      </>
    );
  }
  if (tab === 'configuration') return <ConfigPage ids={ids} />;
  if (runs.length < ids.length) return <Waiting what="Reading what was logged" />;
  const views: Record<Exclude<Tab, 'scenes' | 'configuration'>, ComponentChildren> = {
    curves: <CurvesPage runs={runs} route={route} />,
    classes: <ClassesPage runs={runs} route={route} />,
    confusion: <ConfusionPage runs={runs} route={route} />,
    robustness: <RobustnessPage runs={runs} />,
  };
  return (
    <>
      <Troubles runs={runs} />
      {views[tab]}
    </>
  );
}

/** What of runs cannot be read. */
function Troubles({ runs }: { runs: readonly LiveRun[] }) {
  return (
    <>
      {runs.flatMap(({ id, summary: { problem } }) =>
        problem === null
          ? []
          : [
              <div key={id} class="notice problem" role="alert">
                {problem}
              </div>,
            ],
      )}
    </>
  );
}

function RunStates({ runs, several }: { runs: readonly LiveRun[]; several: boolean }) {
  return (
    <ul class="run-states">
      {runs.map(({ id, summary }) => (
        <li key={id}>
          {several && <b>{id}</b>}
          <State state={summary.state} />
          <span class="soft">
            {summary.iteration}
            {summary.iterations === null ? '' : ` of ${summary.iterations}`} iterations
          </span>
          <span>
            best robust mIoU <b>{percent(summary.robustMeanIoU)}</b>
          </span>
        </li>
      ))}
    </ul>
  );
}
