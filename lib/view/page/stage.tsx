import { useEffect, useRef, useState } from 'preact/hooks';
import type { ClassMap } from './ask.js';

/** What a stage can show; null while it is not there yet. */
export interface Layer {
  name: string;
  image: CanvasImageSource | null;
  /** Classes are drawn over the first layer where that is asked for. */
  classes?: ClassMap | null;
  /** Whether the model is not given this. */
  off?: boolean;
}

interface StageProps {
  layers: readonly Layer[];
  /** 0 to layers − 1: a whole number shows one layer, one between two of them, with a seam. */
  at: number;
  /** Height by width, before any layer has come. */
  aspect: number;
  /** 0 to 1: how strongly classes cover the picture below. */
  cover: number;
  /** Drawn on top for a moment where it changes. */
  flash?: CanvasImageSource | null;
  classNames: readonly string[];
  label: string;
  /** What is said while the layer is not there yet. */
  coming: string;
  onAt: (at: number) => void;
}

const FLASH = 900;

/** One picture, of which a seam moves from a layer to the next. */
export function Stage(props: StageProps) {
  const { layers, at, aspect, cover, flash = null, classNames, label, coming, onAt } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [pointed, setPointed] = useState<{ x: number; y: number; text: string } | null>(null);
  const flashed = useRef({ image: flash, since: 0 });
  if (flashed.current.image !== flash) flashed.current = { image: flash, since: performance.now() };

  useEffect(() => {
    const element = canvas.current!;
    const resized = new ResizeObserver(() => setWidth(element.clientWidth));
    resized.observe(element);
    return () => resized.disconnect();
  }, []);
  useEffect(() => {
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    let frame = 0;
    const draw = () => {
      const { image, since } = flashed.current;
      const age = (performance.now() - since) / FLASH;
      const glow = image === null || calm || age >= 1 ? 0 : 1 - age;
      drawStage(canvas.current!, { layers, at, cover, aspect, flash: image, glow });
      if (glow > 0) frame = requestAnimationFrame(draw);
    };
    draw();
    return () => cancelAnimationFrame(frame);
  }, [layers, at, aspect, cover, flash, width]);

  const point = (event: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (event.buttons === 1) onAt(seamAt(at, x, layers.length));
    const texts = layers.flatMap(({ name, classes }) => {
      if (!classes || x < 0 || y < 0 || x >= 1 || y >= 1) return [];
      const row = Math.floor(y * classes.height);
      const found = classes.classes[row * classes.width + Math.floor(x * classes.width)]!;
      return [`${name}: ${classNames[found] ?? 'void'}`];
    });
    setPointed(texts.length === 0 ? null : { x, y, text: texts.join('\n') });
  };
  return (
    <div class="stage" style={{ aspectRatio: `${1 / aspect}`, '--aspect': 1 / aspect }}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={label}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          point(event);
        }}
        onPointerMove={point}
        onPointerLeave={() => setPointed(null)}
      />
      {layers[Math.round(at)]?.image === null && <span class="coming">{coming}</span>}
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
}

/** Dragging on the picture moves the seam between the two layers that are shown. */
function seamAt(at: number, x: number, count: number): number {
  const below = Math.min(count - 2, Math.max(0, Math.ceil(at - 1e-6) - 1));
  // The layer to the right comes in from the left of the seam's right side.
  return below + Math.min(1, Math.max(0, 1 - x));
}

function drawStage(
  canvas: HTMLCanvasElement,
  {
    layers,
    at,
    cover,
    aspect,
    flash,
    glow,
  }: {
    layers: readonly Layer[];
    at: number;
    cover: number;
    aspect: number;
    flash: CanvasImageSource | null;
    glow: number;
  },
): void {
  const ratio = Math.min(2, devicePixelRatio);
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(width * aspect));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext('2d')!;
  context.clearRect(0, 0, width, height);
  const below = Math.min(layers.length - 1, Math.floor(at));
  const share = at - below;
  const ground = layers[0]?.image ?? null;
  const put = (layer: Layer | undefined) => {
    if (layer === undefined) return;
    if (layer.image === null) {
      // What is not there yet: the scene, faintly.
      context.globalAlpha = 0.35;
      if (ground) context.drawImage(ground, 0, 0, width, height);
      context.globalAlpha = 1;
      return;
    }
    const classes = layer.classes !== undefined;
    // Classes have edges; pictures of few pixels do not get any by being enlarged.
    context.imageSmoothingEnabled = !classes;
    context.imageSmoothingQuality = 'high';
    if (classes && cover < 1 && ground) {
      context.imageSmoothingEnabled = true;
      context.drawImage(ground, 0, 0, width, height);
      context.globalAlpha = cover;
      context.imageSmoothingEnabled = false;
    }
    context.drawImage(layer.image, 0, 0, width, height);
    context.globalAlpha = 1;
    if (layer.off) hatch(context, width, height, ratio);
  };
  put(layers[below]);
  const seam = Math.round(width * (1 - share));
  if (share > 0) {
    context.save();
    context.beginPath();
    context.rect(seam, 0, width - seam, height);
    context.clip();
    context.clearRect(seam, 0, width - seam, height);
    put(layers[below + 1]);
    context.restore();
  }
  if (glow > 0 && flash) {
    context.globalAlpha = 0.75 * glow;
    context.imageSmoothingEnabled = false;
    context.drawImage(flash, 0, 0, width, height);
    context.globalAlpha = 1;
  }
  if (share > 0 && share < 1) drawSeam(context, seam, height, ratio);
}

function drawSeam(context: CanvasRenderingContext2D, x: number, height: number, ratio: number) {
  context.fillStyle = 'rgb(0 0 0 / 45%)';
  context.fillRect(x - 2 * ratio, 0, 4 * ratio, height);
  context.fillStyle = '#fff';
  context.fillRect(x - ratio, 0, 2 * ratio, height);
  context.beginPath();
  context.arc(x, height / 2, 11 * ratio, 0, 2 * Math.PI);
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

/** Over what the model is not given. */
function hatch(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  ratio: number,
): void {
  context.fillStyle = 'rgb(15 18 22 / 62%)';
  context.fillRect(0, 0, width, height);
  context.strokeStyle = 'rgb(255 255 255 / 16%)';
  context.lineWidth = 2 * ratio;
  context.beginPath();
  for (let x = -height; x < width; x += 16 * ratio) {
    context.moveTo(x, height);
    context.lineTo(x + height, 0);
  }
  context.stroke();
}
