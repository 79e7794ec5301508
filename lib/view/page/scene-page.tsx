import { useCallback, useEffect, useMemo } from 'preact/hooks';
import type { SceneSet } from '../api.js';
import { type Refusal, useJson } from './ask.js';
import { LayerSlider } from './layer-slider.js';
import { useStable } from './memo.js';
import { Empty, Problem, Switch, Waiting } from './parts.js';
import { joinIds, linkTo, type Route, replaceRoute } from './route.js';
import { RunScene } from './run-scene.js';
import { SceneNavigation } from './scene-navigation.js';
import { useLinkedSeam } from './seam.js';

/** Scenes, and what runs say of them with each sensor there or not. */
export function ScenePage({
  ids,
  stamp,
  route,
}: {
  ids: readonly string[];
  /** Another once a run may have another checkpoint. */
  stamp: string;
  route: Route;
}) {
  const [first] = ids;
  const { value: set, error } = useJson<SceneSet>(
    `/api/runs/${encodeURIComponent(first!)}/scenes`,
    stamp,
  );
  if (error) return <SceneProblem error={error} />;
  if (set === null) return <Waiting what="Opening the scenes" />;
  if (set.names.length === 0) return <Empty title="The list holds no scene" />;
  if (set.checkpoint === null) {
    return (
      <Empty title="This run has no checkpoint">
        <p>What the model says is shown as soon as training has saved it for the first time.</p>
      </Empty>
    );
  }
  return <Scenes ids={ids} set={set} stamp={stamp} route={route} />;
}

function SceneProblem({ error }: { error: Refusal }) {
  return (
    <Problem error={error}>
      {error.code.includes('DATA') && (
        <p>
          Tell where the data is now: start <code>m3l view</code> again with{' '}
          <code>--set data.root=FOLDER</code>
        </p>
      )}
    </Problem>
  );
}

function Scenes({
  ids,
  set,
  stamp,
  route,
}: {
  ids: readonly string[];
  set: SceneSet;
  stamp: string;
  route: Route;
}) {
  const { path, query } = route;
  const text = `${query}`;
  const { index, off, at, over } = useMemo(() => viewOf(route, set), [path[3], text, set]);
  const names = useMemo(() => set.modalities.map(({ name }) => name), [set]);
  const layerNames = useMemo(
    () => [
      ...names,
      ...(set.labelled ? ['label'] : []),
      'prediction',
      ...(set.labelled ? ['errors'] : []),
    ],
    [names, set.labelled],
  );
  const go = useStable((change: Partial<Linked>) => {
    const next = { index, off, at: seam.at, over, ...change };
    replaceRoute(
      linkTo(['runs', joinIds(ids), 'scenes', `${next.index + 1}`], {
        without: next.off.join(' '),
        layer: next.at === predictionAt(set) ? '' : `${next.at}`,
        over: next.over ? 'picture' : '',
      }),
    );
  });
  const seam = useLinkedSeam(at, (place) => go({ at: place }));
  const onOff = useCallback((to: readonly string[]) => go({ off: to }), []);
  const turn = (name: string, on: boolean) => {
    const to = names.filter((each) => (each === name ? !on : off.includes(each)));
    if (to.length < names.length) go({ off: to });
  };
  useKeys((key) => {
    const number = Number(key);
    const name = names[number - 1];
    if (key === 'ArrowRight') go({ index: Math.min(set.names.length - 1, index + 1) });
    else if (key === 'ArrowLeft') go({ index: Math.max(0, index - 1) });
    else if (key === 'o') go({ over: !over });
    else if (key === '0') go({ off: [] });
    else if (name !== undefined) turn(name, off.includes(name));
  });
  const left = names.length - off.length;
  const view = useMemo(() => ({ index, off, cover: over ? 0.55 : 1 }), [index, off, over]);
  const slider = useMemo(
    () => <LayerSlider names={layerNames} off={off} seam={seam} />,
    [layerNames, off, seam],
  );
  return (
    <>
      <div class="bar scene-bar">
        <SceneNavigation index={index} names={set.names} onGo={(to) => go({ index: to })} />
        <div class="switches">
          <span class="soft">The model is given</span>
          {names.map((name, m) => {
            const on = !off.includes(name);
            return (
              <Switch
                key={name}
                label={name}
                hint={<kbd>{m + 1}</kbd>}
                on={on}
                why={on && left === 1 ? 'One sensor must be there.' : undefined}
                onChange={(to) => turn(name, to)}
              />
            );
          })}
          <span class="apart" aria-hidden="true" />
          <Switch
            label="over the picture"
            hint={<kbd>o</kbd>}
            on={over}
            onChange={(to) => go({ over: to })}
          />
        </div>
      </div>
      <div class={`scenes${ids.length > 1 ? ' several' : ''}`}>
        {ids.map((id) => (
          <RunScene
            key={id}
            id={id}
            stamp={stamp}
            titled={ids.length > 1}
            names={set.names}
            view={view}
            seam={seam}
            layers={layerNames}
            onOff={onOff}
          >
            {slider}
          </RunScene>
        ))}
      </div>
      <p class="soft keys-help">
        <kbd>←</kbd> <kbd>→</kbd> scenes · <kbd>1</kbd>…<kbd>{names.length}</kbd> switch a sensor ·{' '}
        <kbd>0</kbd> all sensors · drag across the picture to move the seam
      </p>
    </>
  );
}

/** What a link holds of the scenes. */
interface Linked {
  index: number;
  off: readonly string[];
  /** Which layer, as a seam has it. */
  at: number;
  /** Whether classes are drawn over the picture. */
  over: boolean;
}

/** Which layer the prediction is. */
const predictionAt = ({ modalities, labelled }: SceneSet) => modalities.length + (labelled ? 1 : 0);

function viewOf({ path, query }: Route, set: SceneSet): Linked {
  const names = set.modalities.map(({ name }) => name);
  const wanted = Number(path[3] ?? '1') - 1;
  const index = Number.isInteger(wanted) ? Math.min(set.names.length - 1, Math.max(0, wanted)) : 0;
  const without = (query.get('without') ?? '').split(' ');
  const off = names.filter((name) => without.includes(name));
  const prediction = predictionAt(set);
  const last = prediction + (set.labelled ? 1 : 0);
  return {
    index,
    off: off.length === names.length ? [] : off,
    at: placeOf(query, last, prediction),
    over: query.get('over') === 'picture',
  };
}

/** Which layer a link is of. */
export function placeOf(query: URLSearchParams, last: number, usual: number): number {
  const layer = query.get('layer');
  const at = layer === null || Number.isNaN(Number(layer)) ? usual : Number(layer);
  return Math.min(last, Math.max(0, at));
}

/** Keys that no control under the focus has a use for. */
export function useKeys(onKey: (key: string) => void): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const { target } = event;
      const typed = target instanceof HTMLElement && target.matches('input, select, textarea');
      if (typed || event.ctrlKey || event.metaKey || event.altKey) return;
      onKey(event.key);
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  });
}
