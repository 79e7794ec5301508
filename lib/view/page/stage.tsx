import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ClassMap } from './ask.js';
import { memo } from './memo.js';
import { type Seam, useSeam } from './seam.js';
import { type Layer, LayerPictures, type Paper } from './stage-layers.js';

interface StageProps {
  layers: readonly Layer[];
  seam: Seam;
  /** Height by width. */
  aspect: number;
  /** 0 to 1: how strongly classes cover the picture below. */
  cover: number;
  /** Drawn on top for a moment where it changes. */
  flash?: CanvasImageSource | null;
  classNames: readonly string[];
  /** Of the scene, and what the model is given of it. */
  label: string;
}

const FLASH = 900;
/** Radius of the seam's grip, CSS pixels. */
const GRIP = 11;

/** One picture, of which a seam moves from a layer to the next. */
export const Stage = memo(function Stage(props: StageProps) {
  const { layers, seam, aspect, cover, flash = null, classNames, label } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [pointed, setPointed] = useState<{ x: number; y: number; text: string } | null>(null);
  const near = useSeam(seam, Math.round);
  const flashed = useRef({ image: flash, since: 0 });
  if (flashed.current.image !== flash) flashed.current = { image: flash, since: performance.now() };
  const pictures = useMemo(() => new LayerPictures(), []);

  useEffect(() => {
    const element = canvas.current!;
    const resized = new ResizeObserver(() => setWidth(element.clientWidth));
    resized.observe(element);
    return () => resized.disconnect();
  }, []);
  useEffect(() => {
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const paper = paperOf(canvas.current!, aspect);
    pictures.show(layers, cover, paper);
    const glow = () => {
      const { image, since } = flashed.current;
      const age = (performance.now() - since) / FLASH;
      return image === null || calm || age >= 1 ? 0 : 1 - age;
    };
    let frame = 0;
    let drawn: number | null = null;
    const draw = () => {
      frame = 0;
      const shine = glow();
      drawStage(paper, pictures, { at: seam.at, before: shine > 0 ? null : drawn });
      if (shine > 0) drawFlash(paper, flashed.current.image!, shine);
      // Under a glow, and as it ends, all of it changes.
      drawn = shine > 0 ? null : seam.at;
      if (shine > 0) frame = requestAnimationFrame(draw);
    };
    draw();
    const leave = seam.follow(() => {
      if (frame === 0) frame = requestAnimationFrame(draw);
    });
    return () => {
      leave();
      cancelAnimationFrame(frame);
    };
  }, [layers, seam, aspect, cover, flash, width]);

  const point = (event: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (event.buttons === 1) seam.move(seamAt(seam.at, x, layers.length));
    const texts = layers.flatMap(({ name, classes }) => {
      if (!classes || x < 0 || y < 0 || x >= 1 || y >= 1) return [];
      return [`${name}: ${classNames[classUnder(classes, x, y)] ?? 'void'}`];
    });
    setPointed(texts.length === 0 ? null : { x, y, text: texts.join('\n') });
  };
  const shown = layers[near];
  return (
    <div class="stage" style={{ aspectRatio: `${1 / aspect}`, '--aspect': 1 / aspect }}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${label}: ${shown?.name}`}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          point(event);
        }}
        onPointerMove={point}
        onPointerLeave={() => setPointed(null)}
      />
      {shown?.image === null && <span class="coming">{shown.coming ?? 'Reading the scene'}</span>}
      {pointed && (
        <span
          class={`pointed${pointed.x > 0.6 ? ' left' : ''}`}
          style={{ left: `${100 * pointed.x}%`, top: `${100 * pointed.y}%` }}
          aria-hidden="true"
        >
          {pointed.text}
        </span>
      )}
    </div>
  );
});

function classUnder({ classes, height, width }: ClassMap, x: number, y: number): number {
  return classes[Math.floor(y * height) * width + Math.floor(x * width)]!;
}

/** Dragging on the picture moves the seam between the two layers that are shown. */
function seamAt(at: number, x: number, count: number): number {
  const below = Math.min(count - 2, Math.max(0, Math.ceil(at - 1e-6) - 1));
  // The layer to the right comes in from the left of the seam's right side.
  return below + Math.min(1, Math.max(0, 1 - x));
}

/** The canvas at as many pixels as the screen shows. */
function paperOf(canvas: HTMLCanvasElement, aspect: number): Paper {
  const ratio = Math.min(2, devicePixelRatio);
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(width * aspect));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  return { context: canvas.getContext('2d')!, width, height, ratio };
}

/** @param before where the seam was drawn; null where more than the seam is another */
function drawStage(
  paper: Paper,
  pictures: LayerPictures,
  { at, before }: { at: number; before: number | null },
): void {
  const { context, width, height, ratio } = paper;
  const below = Math.min(pictures.count - 1, Math.floor(at));
  const share = at - below;
  const seam = Math.round(width * (1 - share));
  let [from, to] = [0, width];
  if (before !== null && Math.floor(before) === below && share > 0 && before > below) {
    // Between the same two layers only the strip that the seam went over is another.
    const old = Math.round(width * (1 - (before - below)));
    const grip = Math.ceil((GRIP + 2) * ratio);
    from = Math.max(0, Math.min(seam, old) - grip);
    to = Math.min(width, Math.max(seam, old) + grip);
  }
  context.clearRect(from, 0, to - from, height);
  const put = (layer: number, left: number, right: number) => {
    const [start, end] = [Math.max(from, left), Math.min(to, right)];
    if (end <= start) return;
    const picture = pictures.of(layer);
    if (picture === null) return;
    context.drawImage(picture, start, 0, end - start, height, start, 0, end - start, height);
  };
  put(below, 0, share > 0 ? seam : width);
  if (share > 0) put(below + 1, seam, width);
  if (share > 0 && share < 1) drawSeam(context, seam, height, ratio);
}

function drawFlash({ context, width, height }: Paper, image: CanvasImageSource, glow: number) {
  context.globalAlpha = 0.75 * glow;
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, width, height);
  context.globalAlpha = 1;
}

function drawSeam(context: CanvasRenderingContext2D, x: number, height: number, ratio: number) {
  context.fillStyle = 'rgb(0 0 0 / 45%)';
  context.fillRect(x - 2 * ratio, 0, 4 * ratio, height);
  context.fillStyle = '#fff';
  context.fillRect(x - ratio, 0, 2 * ratio, height);
  context.beginPath();
  context.arc(x, height / 2, GRIP * ratio, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = '#14171c';
  for (const way of [-1, 1]) {
    context.beginPath();
    context.moveTo(x + way * 7 * ratio, height / 2);
    context.lineTo(x + way * 3 * ratio, height / 2 - 4 * ratio);
    context.lineTo(x + way * 3 * ratio, height / 2 + 4 * ratio);
    context.fill();
  }
}
