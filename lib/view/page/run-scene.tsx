import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { SceneSet } from '../api.js';
import { type ClassMap, useJson } from './ask.js';
import { Cases, casesOf } from './cases.js';
import { Legend } from './legend.js';
import { memo, useLast } from './memo.js';
import { paintChanges, paintErrors, rgbOf, usePainted } from './painting.js';
import { Problem } from './parts.js';
import {
  classesAt,
  pictureAt,
  picturePath,
  predictionPath,
  type SceneView,
  scenePath,
  useClasses,
  usePictures,
} from './scene-data.js';
import { changed, measure, shares } from './scene-measures.js';
import type { Seam } from './seam.js';
import { Stage } from './stage.js';
import type { Layer } from './stage-layers.js';
import { percent } from './text.js';

const NONE: readonly string[] = [];

interface RunSceneProps {
  id: string;
  stamp: string;
  titled: boolean;
  /** Of the first run's list: another's scene is found by its name. */
  names: readonly string[];
  view: SceneView;
  seam: Seam;
  layers: readonly string[];
  onOff: (off: readonly string[]) => void;
  children: ComponentChildren;
}

/** One run's view of one scene. */
export const RunScene = memo(function RunScene({ stamp, titled, names, ...shown }: RunSceneProps) {
  const { id, view } = shown;
  const path = `/api/runs/${encodeURIComponent(id)}/scenes`;
  const { value: set, error } = useJson<SceneSet>(path, stamp);
  const indexOf = (at: number) => set?.names.indexOf(names[at] ?? '') ?? -1;
  const index = indexOf(view.index);
  return (
    <section class="run-scene" aria-label={id}>
      {titled && <h2>{id}</h2>}
      {error && <Problem error={error} />}
      {set !== null && index < 0 && (
        <div class="notice">This run was not evaluated on {names[view.index]}.</div>
      )}
      {set !== null && index >= 0 && (
        <Shown {...shown} set={set} index={index} next={indexOf(view.index + 1)} />
      )}
    </section>
  );
});

function Shown({
  id,
  set,
  index,
  next,
  view,
  seam,
  layers: layerNames,
  onOff,
  children,
}: Omit<RunSceneProps, 'stamp' | 'titled' | 'names'> & {
  set: SceneSet;
  index: number;
  /** The scene that is likely to be asked for next; -1: none. */
  next: number;
}) {
  const { classes, labelled, checkpoint } = set;
  const own = useMemo(() => set.modalities.map(({ name }) => name), [set]);
  const off = useMemo(() => view.off.filter((name) => own.includes(name)), [view.off, own]);
  const [only, setOnly] = useState<number | null>(null);
  const scene = scenePath(id, index);
  const cases = useMemo(
    () => casesOf(own, (without) => predictionPath(scene, without, checkpoint)),
    [scene, own, checkpoint],
  );
  const label = useClasses(scene, labelled ? `${scene}/label` : null);
  const asked = predictionPath(scene, off, checkpoint);
  const prediction = useClasses(scene, asked);
  const whole = useClasses(scene, predictionPath(scene, NONE, checkpoint));
  const { images, error } = usePictures(
    scene,
    own.map((name) => picturePath(scene, name, checkpoint)),
  );
  const isThere = !prediction.busy && !label.busy && images.every((image) => image !== null);
  usePrefetch(isThere && next >= 0 ? scenePath(id, next) : null, {
    own,
    off,
    labelled,
    checkpoint,
  });

  const colours = useMemo(() => set.colours.map(rgbOf), [set]);
  const labelImage = usePainted(label.map, colours, only);
  const predictionImage = usePainted(prediction.map, colours, only);
  const errors = useMemo(() => {
    const both = label.map && prediction.map && sameSize(label.map, prediction.map);
    return both ? paintErrors(label.map!, prediction.map!, colours) : null;
  }, [label.map, prediction.map, colours]);
  const failure = prediction.error ?? label.error;
  const coming = failure ? 'The model does not answer' : 'Asking the model';
  const layers = useMemo(
    () =>
      layerNames.map((name): Layer => {
        const m = own.indexOf(name);
        if (m >= 0) return { name, image: images[m] ?? null, off: off.includes(name) };
        if (name === 'label' && labelled) return { name, image: labelImage, classes: label.map };
        if (name === 'prediction')
          return { name, image: predictionImage, classes: prediction.map, coming };
        if (name === 'errors' && labelled) return { name, image: errors, classes: null, coming };
        // Of the run beside it.
        return { name, image: null, coming: `This run has no ${name}` };
      }),
    [layerNames, own, images, labelImage, predictionImage, errors, off, coming],
  );
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
  const flash = useFlash(prediction.map, scene);
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
  const size = useLast(label.map ?? prediction.map);
  // Of the prediction that is shown: another may be coming.
  const shownOff = useShownOff(off, prediction.path === asked || prediction.path === null);
  const given = shownOff.length === 0 ? 'with everything' : `without ${shownOff.join(' and ')}`;
  return (
    <>
      <div class="stage-column">
        <div class={`stage-frame${prediction.busy ? ' busy' : ''}`}>
          <Stage
            layers={layers}
            seam={seam}
            aspect={size ? size.height / size.width : 0.75}
            cover={view.cover}
            flash={flash}
            classNames={classes}
            label={`${set.names[index]}, ${given}`}
          />
        </div>
        {children}
      </div>
      <div class="side">
        {failure && <Problem error={failure} />}
        {error !== null && <div class="notice">A picture of this scene cannot be read.</div>}
        <dl class="figures" aria-live="polite" aria-busy={prediction.busy}>
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
        <Cases cases={cases} off={off} label={label.map} classes={classes.length} onOff={onOff} />
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

/** What was missing when the prediction that is shown was made. */
function useShownOff(off: readonly string[], isShown: boolean): readonly string[] {
  const last = useRef(off);
  if (isShown) last.current = off;
  return last.current;
}

/** What a scene is shown of is asked for before it is gone to: once, when the one before is there. */
function usePrefetch(
  scene: string | null,
  {
    own,
    off,
    labelled,
    checkpoint,
  }: {
    own: readonly string[];
    off: readonly string[];
    labelled: boolean;
    checkpoint: string | null;
  },
): void {
  useEffect(() => {
    if (scene === null) return;
    const nobody = () => {};
    for (const name of own) pictureAt(picturePath(scene, name, checkpoint)).catch(nobody);
    if (labelled) classesAt(`${scene}/label`).catch(nobody);
    classesAt(predictionPath(scene, off, checkpoint)).catch(nobody);
  }, [scene, own, off, checkpoint]);
}

/** Where a prediction differs from the one before, of the same scene. */
function useFlash(map: ClassMap | null, scene: string): HTMLCanvasElement | null {
  const before = useRef<{ map: ClassMap | null; scene: string }>({ map: null, scene });
  return useMemo(() => {
    const earlier = before.current;
    before.current = { map, scene };
    if (map === null || earlier.map === null || earlier.scene !== scene) return null;
    return sameSize(map, earlier.map) ? paintChanges(earlier.map, map) : null;
  }, [map]);
}
