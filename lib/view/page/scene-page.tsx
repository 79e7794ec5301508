import { useEffect, useMemo, useState } from 'preact/hooks';
import type { SceneSet } from '../api.js';
import { type Refusal, useJson } from './ask.js';
import { LayerSlider } from './layer-slider.js';
import { Empty, Problem, Switch, Waiting } from './parts.js';
import { joinIds, linkTo, type Route, replaceRoute } from './route.js';
import { RunScene } from './run-scene.js';
import type { SceneView } from './scene-data.js';
import { SceneNavigation } from './scene-navigation.js';

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
      <Empty title="This run has no checkpoint yet">
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
  const view = viewOf(route, set);
  const [asOverlay, setAsOverlay] = useState(false);
  const names = set.modalities.map(({ name }) => name);
  const layerNames = [
    ...names,
    ...(set.labelled ? ['label'] : []),
    'prediction',
    ...(set.labelled ? ['errors'] : []),
  ];
  const go = (change: Partial<SceneView>) => {
    const { index, off, at } = { ...view, ...change };
    replaceRoute(
      linkTo(['runs', joinIds(ids), 'scenes', `${index + 1}`], {
        without: off.join(' '),
        layer: at === names.length + (set.labelled ? 1 : 0) ? '' : `${at}`,
      }),
    );
  };
  const turn = (name: string, on: boolean) => {
    const off = names.filter((each) => (each === name ? !on : view.off.includes(each)));
    if (off.length < names.length) go({ off });
  };
  useKeys((key) => {
    const number = Number(key);
    const name = names[number - 1];
    if (key === 'ArrowRight') go({ index: Math.min(set.names.length - 1, view.index + 1) });
    else if (key === 'ArrowLeft') go({ index: Math.max(0, view.index - 1) });
    else if (key === 'o') setAsOverlay(!asOverlay);
    else if (key === '0') go({ off: [] });
    else if (name !== undefined) turn(name, view.off.includes(name));
  });
  const left = names.length - view.off.length;
  const cover = asOverlay ? 0.55 : 1;
  const shown = useMemo(
    () => ({ ...view, cover }),
    [route.path.join('/'), `${route.query}`, cover],
  );
  return (
    <>
      <div class="bar scene-bar">
        <SceneNavigation index={view.index} names={set.names} onGo={(index) => go({ index })} />
        <div class="switches">
          <span class="soft">The model is given</span>
          {names.map((name, m) => {
            const on = !view.off.includes(name);
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
            on={asOverlay}
            onChange={setAsOverlay}
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
            view={shown}
            layers={layerNames}
            onAt={(at) => go({ at })}
            onOff={(off) => go({ off })}
          >
            <LayerSlider names={layerNames} off={view.off} at={view.at} onAt={(at) => go({ at })} />
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

function viewOf({ path, query }: Route, set: SceneSet): Omit<SceneView, 'cover'> {
  const names = set.modalities.map(({ name }) => name);
  const wanted = Number(path[3] ?? '1') - 1;
  const index = Number.isInteger(wanted) ? Math.min(set.names.length - 1, Math.max(0, wanted)) : 0;
  const without = (query.get('without') ?? '').split(' ');
  const off = names.filter((name) => without.includes(name));
  const prediction = names.length + (set.labelled ? 1 : 0);
  const last = prediction + (set.labelled ? 1 : 0);
  const layer = query.get('layer');
  const at = layer === null || Number.isNaN(Number(layer)) ? prediction : Number(layer);
  return {
    index,
    off: off.length === names.length ? [] : off,
    at: Math.min(last, Math.max(0, at)),
  };
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
