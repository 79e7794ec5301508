import { useEffect, useState } from 'preact/hooks';
import type { Curves, EvaluationPoint, LatestEvaluation, RunSummary, RunUpdate } from '../api.js';
import { many, Refusal } from './ask.js';

/** A run as it is known by now. */
export interface LiveRun {
  id: string;
  summary: RunSummary;
  train: Curves;
  health: Curves;
  evaluations: EvaluationPoint[];
  latest: LatestEvaluation | null;
}

/** The runs, growing while they train. The browser takes up a broken connection again by itself. */
export function useLiveRuns(ids: readonly string[]): {
  runs: LiveRun[];
  error: Refusal | null;
} {
  const [known, setKnown] = useState<ReadonlyMap<string, LiveRun>>(new Map());
  const [error, setError] = useState<Refusal | null>(null);
  const path = `/api/live?${many('run', ids)}`;
  useEffect(() => {
    setError(null);
    const source = new EventSource(path);
    source.addEventListener('run', ({ data }: MessageEvent<string>) => {
      const update = JSON.parse(data) as RunUpdate;
      setKnown((before) => new Map(before).set(update.id, grown(before.get(update.id), update)));
    });
    source.addEventListener('failed', ({ data }: MessageEvent<string>) => {
      const { code, message } = JSON.parse(data) as { code: string; message: string };
      setError(new Refusal(code, message));
      source.close();
    });
    return () => source.close();
  }, [path]);
  return { runs: ids.flatMap((id) => known.get(id) ?? []), error };
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
    evaluations: [...before.evaluations, ...evaluations],
    latest: latest ?? before.latest,
  };
}

function joined(before: Curves, more: Curves): Curves {
  const names = new Set([...Object.keys(before.columns), ...Object.keys(more.columns)]);
  const column = ({ x, columns }: Curves, name: string) => columns[name] ?? x.map(() => null);
  return {
    x: [...before.x, ...more.x],
    columns: Object.fromEntries(
      [...names].map((name) => [name, [...column(before, name), ...column(more, name)]]),
    ),
  };
}
