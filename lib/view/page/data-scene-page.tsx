import { useMemo, useState } from 'preact/hooks';
import type { DataHome, SceneNames } from '../api.js';
import { useJson } from './ask.js';
import { LayerSlider } from './layer-slider.js';
import { Legend } from './legend.js';
import { useLast, useStable } from './memo.js';
import { rgbOf, usePainted } from './painting.js';
import { Choice, Problem, Switch } from './parts.js';
import { linkTo, type Route, replaceRoute } from './route.js';
import { useClasses, usePictures } from './scene-data.js';
import { shares } from './scene-measures.js';
import { SceneNavigation } from './scene-navigation.js';
import { placeOf, useKeys } from './scene-page.js';
import { type Seam, useLinkedSeam } from './seam.js';
import { Stage } from './stage.js';
import type { Layer } from './stage-layers.js';

/** Scenes of the lists as they are stored, and as training draws them anew each time. */
export function DataScenePage({ home, route }: { home: DataHome; route: Route }) {
  const split = home.splits.find(({ name }) => name === route.path[2]) ?? home.splits[0]!;
  const wanted = Number(route.path[3] ?? '1') - 1;
  const index = Number.isInteger(wanted) ? Math.min(split.scenes - 1, Math.max(0, wanted)) : 0;
  const drawn = route.query.get('draw');
  const draw = drawn !== null && /^\d{1,6}$/.test(drawn) ? Number(drawn) : null;
  const page = 200 * Math.floor(index / 200);
  const { value: list } = useJson<SceneNames>(`/api/data/${split.name}/names?from=${page}`);
  const name = list?.names[index - page] ?? '';
  const at = placeOf(route.query, home.modalities.length, 0);
  const go = useStable((to: { split?: string; index?: number; draw?: number | null }) => {
    const next = { split: split.name, index, draw, ...to };
    const query = {
      draw: next.draw === null ? '' : `${next.draw}`,
      layer: seam.at === 0 ? '' : `${seam.at}`,
    };
    replaceRoute(linkTo(['data', 'scenes', next.split, `${next.index + 1}`], query));
  });
  const seam = useLinkedSeam(at, () => go({}));
  useKeys((key) => {
    if (key === 'ArrowRight') go({ index: Math.min(split.scenes - 1, index + 1) });
    else if (key === 'ArrowLeft') go({ index: Math.max(0, index - 1) });
    else if (key === 'a') go({ draw: draw === null ? 0 : null });
    else if (key === 'n' && draw !== null) go({ draw: draw + 1 });
  });
  return (
    <>
      <div class="bar scene-bar">
        <Choice
          label="List"
          values={home.splits.map((each) => ({ value: each.name, text: each.name }))}
          value={split.name}
          onChoose={(to) => go({ split: to, index: 0 })}
        />
        <SceneNavigation
          index={index}
          count={split.scenes}
          names={Object.assign([], { [index]: name })}
          onGo={(to) => go({ index: to })}
        />
        <div class="switches">
          <Switch
            label="as training draws it"
            hint={<kbd>a</kbd>}
            on={draw !== null}
            onChange={(on) => go({ draw: on ? 0 : null })}
          />
          <button
            type="button"
            class="button"
            disabled={draw === null}
            onClick={() => go({ draw: (draw ?? 0) + 1 })}
          >
            Draw again <kbd>n</kbd>
          </button>
        </div>
      </div>
      <DataScene {...{ home, split, index, draw, name, seam }} />
      <p class="soft keys-help">
        <kbd>←</kbd> <kbd>→</kbd> scenes · <kbd>a</kbd> as training draws it · <kbd>n</kbd> draw
        again
      </p>
    </>
  );
}

const NONE: readonly string[] = [];

function DataScene({
  home,
  split,
  index,
  draw,
  name,
  seam,
}: {
  home: DataHome;
  split: DataHome['splits'][number];
  index: number;
  draw: number | null;
  name: string;
  seam: Seam;
}) {
  const [only, setOnly] = useState<number | null>(null);
  const base = `/api/data/${split.name}/${index}`;
  const query = draw === null ? '' : `?draw=${draw}`;
  // As it is drawn is a scene of its own: its label lies over its own pictures alone.
  const scene = `${base}${query}`;
  const own = home.modalities.map((modality) => modality.name);
  const { images, error } = usePictures(
    scene,
    own.map((modality) => `${base}/pictures/${encodeURIComponent(modality)}${query}`),
  );
  const label = useClasses(scene, split.labelled ? `${base}/label${query}` : null);
  const colours = useMemo(() => home.colours.map(rgbOf), [home]);
  const image = usePainted(label.map, colours, only);
  const layers = useMemo((): Layer[] => {
    const pictures = own.map((each, m) => ({ name: each, image: images[m] ?? null }));
    return split.labelled ? [...pictures, { name: 'label', image, classes: label.map }] : pictures;
  }, [images, image, split]);
  const layerNames = useMemo(() => layers.map((each) => each.name), [home, split]);
  const rows = useMemo(() => {
    const found = label.map && shares(label.map, home.classes.length);
    return home.classes
      .map((each, k) => ({
        index: k,
        name: each,
        colour: home.colours[k] ?? '#000000',
        labelled: found?.[k] ?? null,
        predicted: null,
        iou: null,
      }))
      .filter(({ labelled }) => (labelled ?? 0) > 0)
      .sort((a, b) => b.labelled! - a.labelled!);
  }, [label.map]);
  const first = images[0];
  const size = useLast(
    label.map ?? (first ? { height: first.naturalHeight, width: first.naturalWidth } : null),
  );
  return (
    <div class="scenes">
      <section class="run-scene" aria-label={name}>
        <div class="stage-column">
          <div class={`stage-frame${label.busy ? ' busy' : ''}`}>
            <Stage
              layers={layers}
              seam={seam}
              aspect={size ? size.height / size.width : 0.75}
              cover={1}
              classNames={home.classes}
              label={name}
            />
          </div>
          <LayerSlider names={layerNames} off={NONE} seam={seam} />
        </div>
        <div class="side">
          {label.error && <Problem error={label.error} />}
          {error !== null && (
            <div class="notice problem">
              A file of this scene cannot be read; the check says which and why.
            </div>
          )}
          {split.labelled ? (
            <Legend rows={rows} only={only} onOnly={setOnly} />
          ) : (
            <p class="soft">This list has no labels.</p>
          )}
        </div>
      </section>
    </div>
  );
}
