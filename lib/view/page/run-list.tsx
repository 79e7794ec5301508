import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { RunEntry, RunSummary } from '../api.js';
import { askJson, asRefusal, many, type Refusal } from './ask.js';
import { Empty, Problem, State, VirtualList, Waiting } from './parts.js';
import { joinIds, linkTo, MOST_RUNS, type Route, replaceRoute } from './route.js';
import { ago, percent } from './text.js';

const LOOK_EVERY = 4000;

/** All runs; those in sight are read, the others are only names. */
export function RunList({ where, route }: { where: string; route: Route }) {
  const [entries, setEntries] = useState<RunEntry[] | null>(null);
  const [error, setError] = useState<Refusal | null>(null);
  const search = route.query.get('search') ?? '';
  const [selected, setSelected] = useState<readonly string[]>([]);
  useEffect(() => {
    let ended = false;
    const look = async () => {
      if (document.hidden) return;
      try {
        const found = await askJson<RunEntry[]>('/api/runs');
        if (ended) return;
        setEntries(found);
        setError(null);
      } catch (failure) {
        if (!ended) setError(asRefusal(failure));
      }
    };
    void look();
    const timer = setInterval(look, LOOK_EVERY);
    return () => {
      ended = true;
      clearInterval(timer);
    };
  }, []);
  const wanted = search.trim().toLowerCase();
  const shown = (entries ?? []).filter(({ id }) => id.toLowerCase().includes(wanted));
  const toggle = (id: string) =>
    setSelected((before) =>
      before.includes(id)
        ? before.filter((each) => each !== id)
        : [...before, id].slice(-MOST_RUNS),
    );
  return (
    <main class="page">
      <div class="head">
        <h1>Runs</h1>
        <p class="soft">
          {entries === null ? ' ' : `${entries.length} in ${where}, the newest first`}
        </p>
      </div>
      {error && <Problem error={error} />}
      {entries === null && error === null && <Waiting what="Looking for runs" />}
      {entries?.length === 0 && (
        <Empty title="There is no run yet">
          <p>
            Train one, and it appears here: <code>m3l train rooms-demo</code>
          </p>
          <p>
            Runs elsewhere: <code>m3l view FOLDER</code>
          </p>
        </Empty>
      )}
      {entries !== null && entries.length > 0 && (
        <>
          <div class="bar">
            <input
              type="search"
              aria-label="Search by name"
              placeholder="Search"
              value={search}
              onInput={(event) => replaceRoute(linkTo([], { search: event.currentTarget.value }))}
            />
            <span class="grow" />
            <a
              class="button"
              aria-disabled={selected.length < 2}
              href={
                selected.length < 2
                  ? linkTo([], { search })
                  : linkTo(['runs', joinIds(selected), 'curves'])
              }
            >
              {selected.length < 2 ? 'Select runs to compare' : `Compare ${selected.length} runs`}
            </a>
          </div>
          {shown.length === 0 ? (
            <p class="soft">No run has ‘{search}’ in its name.</p>
          ) : (
            <Rows entries={shown} selected={selected} onToggle={toggle} />
          )}
        </>
      )}
    </main>
  );
}

function Rows({
  entries,
  selected,
  onToggle,
}: {
  entries: readonly RunEntry[];
  selected: readonly string[];
  onToggle: (id: string) => void;
}) {
  const [summaries, setSummaries] = useState<ReadonlyMap<string, RunSummary>>(new Map());
  const sight = useRef<[number, number]>([0, 30]);
  const list = useRef(entries);
  list.current = entries;
  const load = useCallback(async () => {
    const [from, to] = sight.current;
    const ids = list.current.slice(from, to).map(({ id }) => id);
    if (ids.length === 0) return;
    const path = `/api/summaries?${many('run', ids.slice(0, 100))}`;
    const found = await askJson<RunSummary[]>(path).catch(() => []);
    setSummaries(
      (before) => new Map([...before, ...found.map((each) => [each.id, each] as const)]),
    );
  }, []);
  const onSight = useCallback(
    (from: number, to: number) => {
      sight.current = [from, to];
      void load();
    },
    [load],
  );
  useEffect(() => void load(), [entries, load]);
  return (
    <VirtualList
      count={entries.length}
      rowHeight={72}
      label="Runs"
      onSight={onSight}
      row={(index) => {
        const entry = entries[index]!;
        return (
          <Row
            entry={entry}
            summary={summaries.get(entry.id)}
            selected={selected.includes(entry.id)}
            onToggle={onToggle}
          />
        );
      }}
    />
  );
}

function Row({
  entry: { id, changed },
  summary,
  selected,
  onToggle,
}: {
  entry: RunEntry;
  summary: RunSummary | undefined;
  selected: boolean;
  onToggle: (id: string) => void;
}) {
  const { iteration = 0, iterations = null } = summary ?? {};
  const share = iterations ? Math.min(1, iteration / iterations) : 0;
  return (
    <div class="run-row">
      <input
        type="checkbox"
        aria-label={`Compare ${id}`}
        checked={selected}
        onChange={() => onToggle(id)}
      />
      <a href={linkTo(['runs', joinIds([id]), 'curves'])}>
        <span class="run-name">
          <b>{id}</b>
          <span class="soft">
            {summary?.problem ??
              [summary?.framework, summary?.model].filter((part) => part).join(' · ')}
          </span>
        </span>
        <span class="run-state">
          {summary && <State state={summary.state} />}
          <span class="soft">{ago(changed)}</span>
        </span>
        <span class="run-progress">
          <span class="meter" aria-hidden="true">
            <span style={{ width: `${100 * share}%` }} />
          </span>
          <span class="soft">
            {summary ? `${iteration}${iterations === null ? '' : ` of ${iterations}`}` : ' '}
          </span>
        </span>
        <span class="run-score">
          <b>{percent(summary?.robustMeanIoU)}</b>
          <span class="soft">best robust mIoU</span>
        </span>
      </a>
    </div>
  );
}
