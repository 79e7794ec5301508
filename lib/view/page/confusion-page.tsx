import { useCallback, useEffect, useState } from 'preact/hooks';
import type { ConfusionProgress, SceneSet } from '../api.js';
import { many, useJson } from './ask.js';
import { type FeedKind, useFeed } from './feed.js';
import type { LiveRun } from './live.js';
import { Choice, Empty, Problem, Scroll, Waiting } from './parts.js';
import { linkTo, type Route, replaceRoute } from './route.js';
import { percent } from './text.js';
import { shade, useTheme } from './theme.js';

/** Of more classes a cell has no room for a number. */
const NUMBERED = 16;

/** What is taken for what, counted by the model of the latest checkpoint while one looks. */
export function ConfusionPage({ runs, route }: { runs: readonly LiveRun[]; route: Route }) {
  const [first] = runs;
  const { value: set, error } = useJson<SceneSet>(
    `/api/runs/${encodeURIComponent(first!.id)}/scenes`,
  );
  if (error) return <Problem error={error} />;
  if (set === null) return <Waiting what="Opening the scenes" />;
  if (set.checkpoint === null) {
    return (
      <Empty title="This run has no checkpoint yet">
        <p>The matrix is counted by the saved model.</p>
      </Empty>
    );
  }
  const names = set.modalities.map(({ name }) => name);
  const cases = names.length > 1 ? ['', ...names] : [''];
  const without = cases.find((name) => name === route.query.get('without')) ?? '';
  return <Matrices key={without} {...{ runs, route, cases, without }} />;
}

/** One run is counted after the other: each takes a network, and a browser's connections are few. */
function Matrices({
  runs,
  route,
  cases,
  without,
}: {
  runs: readonly LiveRun[];
  route: Route;
  cases: readonly string[];
  without: string;
}) {
  const [ended, setEnded] = useState(0);
  const onEnd = useCallback(() => setEnded((before) => before + 1), []);
  return (
    <>
      <div class="bar">
        <Choice
          label="Which sensor is missing"
          values={cases.map((name) => ({
            value: name,
            text: name === '' ? 'with everything' : `without ${name}`,
          }))}
          value={without}
          onChoose={(name) => replaceRoute(linkTo(route.path, { without: name }))}
        />
        <span class="soft">Rows: label. Columns: what the model says. Percent of the row.</span>
      </div>
      <div class="matrices">
        {runs.map(({ id }, place) => (
          <Counted
            key={`${id} ${without}`}
            {...{ id, without }}
            titled={runs.length > 1}
            waits={place > ended}
            onEnd={onEnd}
          />
        ))}
      </div>
    </>
  );
}

const COUNTING: FeedKind<ConfusionProgress | null> = {
  start: null,
  events: ['progress', 'done'],
  take: (_, data) => data as ConfusionProgress,
  isDone: (progress) => progress !== null && progress.done === progress.images,
};

function Counted({
  id,
  without,
  titled,
  waits,
  onEnd,
}: {
  id: string;
  without: string;
  titled: boolean;
  waits: boolean;
  onEnd: () => void;
}) {
  // Its classes and scenes are its own: runs beside it may have others.
  const { value: set, error: unread } = useJson<SceneSet>(
    `/api/runs/${encodeURIComponent(id)}/scenes`,
  );
  const query = many('without', without === '' ? [] : [without]);
  const path = `/api/runs/${encodeURIComponent(id)}/confusion?${query}`;
  const { state: progress, error: failure } = useFeed(waits ? null : path, COUNTING);
  const error = unread ?? failure;
  const isEnded = error !== null || COUNTING.isDone!(progress);
  useEffect(() => {
    if (isEnded) onEnd();
  }, [isEnded]);
  const { done = 0, images = set?.names.length ?? 0 } = progress ?? {};
  return (
    <section aria-label={`Confusion matrix of ${id}`}>
      {titled && <h2>{id}</h2>}
      {error ? (
        <Problem error={error} />
      ) : (
        <p class="soft counting" role="status">
          {progress === null
            ? waits
              ? 'Waits for the run before'
              : 'Opening the model'
            : `${done} of ${images} scenes`}
          <progress max={images} value={done} aria-label="Scenes counted" />
        </p>
      )}
      {progress && set && <Matrix classes={set.classes} counts={progress.counts} />}
    </section>
  );
}

function Matrix({ classes, counts }: { classes: readonly string[]; counts: readonly number[][] }) {
  const theme = useTheme();
  const numbered = classes.length <= NUMBERED;
  return (
    <Scroll label="Confusion matrix">
      <table class={`matrix confusion${numbered ? '' : ' dense'}`}>
        <thead>
          <tr>
            <td />
            {classes.map((name, k) => (
              <th key={`${k} ${name}`} scope="col">
                <span>{name}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {classes.map((name, row) => {
            const total = counts[row]!.reduce((sum, count) => sum + count, 0);
            return (
              <tr key={`${row} ${name}`}>
                <th scope="row">{name}</th>
                {counts[row]!.map((count, column) => {
                  const share = total === 0 ? null : count / total;
                  const { ground, ink } = shade(theme, share ?? 0);
                  return (
                    <td
                      key={column}
                      class={row === column ? 'right' : ''}
                      style={{ background: ground, color: ink }}
                      title={`${name} taken for ${classes[column]}: ${percent(share)} %`}
                    >
                      {numbered && share !== null && share >= 0.005 ? percent(share, 0) : ''}
                    </td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
    </Scroll>
  );
}
