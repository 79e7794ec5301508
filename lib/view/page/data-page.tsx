import { useEffect } from 'preact/hooks';
import type { DataHome } from '../api.js';
import { useJson } from './ask.js';
import { type CheckProgress, ClassShares, Findings } from './data-check.js';
import { DataScenePage } from './data-scene-page.js';
import { type FeedKind, useFeed } from './feed.js';
import { Problem, Waiting } from './parts.js';
import { linkTo, type Route } from './route.js';

const TABS = ['scenes', 'classes', 'check'] as const;

/** The data of a configuration, before anything is trained. */
export function DataPage({ route }: { route: Route }) {
  const { value: home, error } = useJson<DataHome>('/api/data');
  const check = useCheck();
  const tab = TABS.find((each) => each === route.path[1]) ?? 'scenes';
  useEffect(() => {
    document.title = `${home?.name ?? 'data'} · ${tab} – m3l`;
  }, [home, tab]);
  const { report } = check;
  const counted = report === null ? '' : ` (${report.findings.length})`;
  return (
    <main class="page">
      <div class="head">
        <h1>{home?.name ?? 'Data'}</h1>
        <p class="soft">
          {home?.splits.map(({ name, scenes }) => `${scenes} ${name}`).join(' · ') ?? ' '}
        </p>
      </div>
      <nav class="tabs" aria-label="Views of the data">
        {TABS.map((each) => (
          <a
            key={each}
            href={linkTo(['data', each])}
            aria-current={each === tab ? 'page' : undefined}
          >
            {each}
            {each === 'check' && counted}
          </a>
        ))}
      </nav>
      {error && <Problem error={error} />}
      {!error && home === null && <Waiting what="Reading the lists" />}
      {home && tab === 'scenes' && <DataScenePage home={home} route={route} />}
      {home && tab === 'classes' && <ClassShares home={home} check={check} />}
      {home && tab === 'check' && <Findings home={home} check={check} />}
    </main>
  );
}

const CHECK: FeedKind<CheckProgress> = {
  start: { done: 0, scenes: 0, report: null, problem: null },
  events: ['check'],
  take: (_, data) => data as CheckProgress,
  isDone: ({ report, problem }) => report !== null || problem !== null,
};

function useCheck(): CheckProgress {
  const { state, error } = useFeed('/api/data/check', CHECK);
  return error === null ? state : { ...state, problem: error.message };
}
