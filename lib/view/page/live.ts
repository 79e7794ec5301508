import type { Curves, EvaluationPoint, LatestEvaluation, RunSummary, RunUpdate } from '../api.js';
import { many, type Refusal } from './ask.js';
import { type FeedKind, useFeed } from './feed.js';

/** A run as it is known by now. */
export interface LiveRun {
  id: string;
  summary: RunSummary;
  train: Curves;
  health: Curves;
  evaluations: EvaluationPoint[];
  latest: LatestEvaluation | null;
}

type Known = ReadonlyMap<string, LiveRun>;

const LIVE: FeedKind<Known> = {
  start: new Map(),
  events: ['run'],
  take(before, data) {
    const update = data as RunUpdate;
    return new Map(before).set(update.id, grown(before.get(update.id), update));
  },
  rests: true,
};

/** The runs, growing while they train. */
export function useLiveRuns(ids: readonly string[]): { runs: LiveRun[]; error: Refusal | null } {
  const { state, error } = useFeed(`/api/live?${many('run', ids)}`, LIVE);
  return { runs: ids.flatMap((id) => state.get(id) ?? []), error };
}

function grown(before: LiveRun | undefined, update: RunUpdate): LiveRun {
  const { id, summary, train, health, evaluations, latest } = update;
  if (before === undefined || update.whole) {
    return { id, summary, train, health, evaluations, latest };
  }
  return {
    id,
    summary,
    train: joined(before.train, train),
    health: joined(before.health, health),
    evaluations:
      evaluations.length === 0 ? before.evaluations : [...before.evaluations, ...evaluations],
    latest: latest ?? before.latest,
  };
}

/** The same where nothing came, so that its charts need not be drawn. */
function joined(before: Curves, more: Curves): Curves {
  if (more.x.length === 0) return before;
  const names = new Set([...Object.keys(before.columns), ...Object.keys(more.columns)]);
  const column = ({ x, columns }: Curves, name: string) => columns[name] ?? x.map(() => null);
  return {
    x: [...before.x, ...more.x],
    columns: Object.fromEntries(
      [...names].map((name) => [name, [...column(before, name), ...column(more, name)]]),
    ),
  };
}
