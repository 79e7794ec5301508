import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { SceneSet } from '../api.js';
import { type ClassMap, useJson } from './ask.js';
import { Cases } from './cases.js';
import { Legend } from './legend.js';
import { paintChanges, paintClasses, paintErrors, rgbOf } from './painting.js';
import { Problem } from './parts.js';
import {
  classesAt,
  picturePath,
  predictionPath,
  type SceneView,
  useClasses,
  usePictures,
} from './scene-data.js';
import { changed, measure, shares } from './scene-measures.js';
import { type Layer, Stage } from './stage.js';
import { percent } from './text.js';

const NONE: readonly string[] = [];

/** One run's view of one scene. */
export function RunScene({
  id,
  stamp,
  titled,
  names,
  view,
  layers: layerNames,
  onAt,
  onOff,
  children,
}: {
  id: string;
  stamp: string;
  titled: boolean;
  /** Of the first run's list: another's scene is found by its name. */
  names: readonly string[];
  view: SceneView;
  layers: readonly string[];
  onAt: (at: number) => void;
  onOff: (off: readonly string[]) => void;
  children: ComponentChildren;
}) {
  const { value: set, error } = useJson<SceneSet>(
    `/api/runs/${encodeURIComponent(id)}/scenes`,
    stamp,
  );
  const index = set === null ? -1 : set.names.indexOf(names[view.index]!);
  return (
    <section class="run-scene" aria-label={id}>
      {titled && <h2>{id}</h2>}
      {error && <Problem error={error} />}
      {set !== null && index < 0 && (
        <div class="notice">This run was not evaluated on {names[view.index]}.</div>
      )}
      {set !== null && index >= 0 && (
        <Shown {...{ id, set, index, view, layerNames, onAt, onOff, children }} />
      )}
    </section>
  );
}

function Shown({
  id,
  set,
  index,
  view,
  layerNames,
  onAt,
  onOff,
  children,
}: {
  id: string;
  set: SceneSet;
  index: number;
  view: SceneView;
  layerNames: readonly string[];
  onAt: (at: number) => void;
  onOff: (off: readonly string[]) => void;
  children: ComponentChildren;
}) {
  const { classes, modalities, labelled, checkpoint } = set;
  const own = modalities.map(({ name }) => name);
  const off = useMemo(() => view.off.filter((name) => own.includes(name)), [view.off, own.join()]);
  const [only, setOnly] = useState<number | null>(null);
  const path = (without: readonly string[]) => predictionPath(id, index, without, checkpoint);
  const label = useClasses(
    labelled ? `/api/runs/${encodeURIComponent(id)}/scenes/${index}/label` : null,
  );
  const prediction = useClasses(path(off));
  const whole = useClasses(path(NONE));
  const { images, error } = usePictures(
    own.map((name) => picturePath(id, index, name, checkpoint ?? '')),
  );
  usePrefetch(own, path);

  const colours = useMemo(() => set.colours.map(rgbOf), [set]);
  const layers = useMemo(() => {
    const labels = sameSize(label.map, prediction.map) ? label.map : null;
    const paint = (map: ClassMap | null) => map && paintClasses(map, colours, only);
    return layerNames.map((name): Layer => {
      const m = own.indexOf(name);
      if (m >= 0) return { name, image: images[m] ?? null, off: off.includes(name) };
      if (name === 'label') return { name, image: paint(label.map), classes: label.map };
      if (name === 'prediction')
        return { name, image: paint(prediction.map), classes: prediction.map };
      if (name !== 'errors') return { name, image: null };
      const image = labels && prediction.map && paintErrors(labels, prediction.map, colours);
      return { name, image, classes: null };
    });
  }, [layerNames.join(), images, label.map, prediction.map, colours, only, off]);
  const measured = useMemo(
    () =>
      label.map && prediction.map && sameSize(label.map, prediction.map)
        ? measure(label.map, prediction.map, classes.length)
        : null,
    [label.map, prediction.map],
  );
  const differs = useMemo(
    () =>
      whole.map && prediction.map && sameSize(whole.map, prediction.map)
        ? changed(whole.map, prediction.map)
        : null,
    [whole.map, prediction.map],
  );
  const flash = useFlash(prediction.map, index);
  const rows = useMemo(() => {
    const truth = label.map && shares(label.map, classes.length);
    const said = prediction.map && shares(prediction.map, classes.length);
    return classes
      .map((name, k) => ({
        index: k,
        name,
        colour: set.colours[k] ?? '#000000',
        labelled: truth?.[k] ?? null,
        predicted: said?.[k] ?? null,
        iou: measured?.classIoU[k] ?? null,
      }))
      .filter((row) => (row.labelled ?? 0) + (row.predicted ?? 0) > 0)
      .sort((a, b) => (b.labelled ?? b.predicted ?? 0) - (a.labelled ?? a.predicted ?? 0));
  }, [label.map, prediction.map, measured]);
  const size = label.map ?? prediction.map;
  const failure = prediction.error ?? label.error;
  const given = off.length === 0 ? 'with everything' : `without ${off.join(' and ')}`;
  return (
    <>
      <div class="stage-column">
        <div class={`stage-frame${prediction.busy ? ' busy' : ''}`}>
          <Stage
            layers={layers}
            at={view.at}
            aspect={size ? size.height / size.width : 0.75}
            cover={view.cover}
            flash={flash}
            classNames={classes}
            coming={failure ? 'The model does not answer' : 'Asking the model'}
            label={`${set.names[index]}, ${given}: ${layerNames[Math.round(view.at)]}`}
            onAt={onAt}
          />
        </div>
        {children}
      </div>
      <div class="side">
        {failure && <Problem error={failure} />}
        {error !== null && <div class="notice">A picture of this scene cannot be read.</div>}
        <dl class="figures" aria-live="polite">
          <div>
            <dt>mIoU here, {given}</dt>
            <dd>{percent(measured?.meanIoU)}</dd>
          </div>
          <div>
            <dt>right pixels</dt>
            <dd>{percent(measured?.right)} %</dd>
          </div>
          <div>
            <dt>says otherwise than with everything</dt>
            <dd>{percent(differs)} %</dd>
          </div>
        </dl>
        <Cases
          modalities={own}
          off={off}
          label={label.map}
          classes={classes.length}
          path={path}
          onOff={onOff}
        />
        <Legend rows={rows} only={only} onOnly={setOnly} />
        <p class="soft">
          {checkpoint}, {set.names.length} scenes of the list val
        </p>
      </div>
    </>
  );
}

function sameSize(one: ClassMap | null, other: ClassMap | null): boolean {
  return one?.height === other?.height && one?.width === other?.width;
}

/** What each sensor's loss does is asked for before somebody flips its switch. */
function usePrefetch(own: readonly string[], path: (without: readonly string[]) => string): void {
  const paths = own.length > 1 ? own.map((name) => path([name])) : [];
  const key = paths.join('\n');
  useEffect(() => {
    let ended = false;
    const all = async () => {
      for (const each of paths) if (!ended) await classesAt(each).catch(() => null);
    };
    void all();
    return () => {
      ended = true;
    };
  }, [key]);
}

/** Where a prediction differs from the one before, of the same scene. */
function useFlash(map: ClassMap | null, index: number): HTMLCanvasElement | null {
  const before = useRef<{ map: ClassMap | null; index: number }>({ map: null, index });
  return useMemo(() => {
    const earlier = before.current;
    before.current = { map, index };
    if (map === null || earlier.map === null || earlier.index !== index) return null;
    return sameSize(map, earlier.map) ? paintChanges(earlier.map, map) : null;
  }, [map]);
}
