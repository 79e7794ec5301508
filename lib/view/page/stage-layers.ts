import type { ClassMap } from './ask.js';

/** What a stage can show; null while it is not there yet. */
export interface Layer {
  name: string;
  image: CanvasImageSource | null;
  /** Classes are drawn over the first layer where that is asked for. */
  classes?: ClassMap | null;
  /** Whether the model is not given this. */
  off?: boolean;
  /** What is said while it is not there. */
  coming?: string;
}

/** What is drawn on: pixels of the screen, `ratio` of them to a CSS pixel. */
export interface Paper {
  context: CanvasRenderingContext2D;
  width: number;
  height: number;
  ratio: number;
}

interface Made {
  picture: HTMLCanvasElement | null;
  /** What it was made of. */
  of: readonly unknown[];
}

/** Each layer at the size it is shown at: made when it is first looked at, and anew once it is another. */
export class LayerPictures {
  #layers: readonly Layer[] = [];
  #cover = 1;
  #size = { width: 1, height: 1, ratio: 1 };
  readonly #made = new Map<string, Made>();

  get count(): number {
    return this.#layers.length;
  }

  show(layers: readonly Layer[], cover: number, { width, height, ratio }: Paper): void {
    this.#layers = layers;
    this.#cover = cover;
    this.#size = { width, height, ratio };
  }

  /** Null where there is nothing to show yet. */
  of(index: number): HTMLCanvasElement | null {
    const layer = this.#layers[index];
    if (layer === undefined) return null;
    const ground = this.#layers[0]?.image ?? null;
    const { width, height, ratio } = this.#size;
    const covered = layer.classes !== undefined && this.#cover < 1;
    const isFaint = layer.image === null;
    const of = [
      layer.image,
      layer.off,
      covered ? this.#cover : 1,
      covered || isFaint ? ground : null,
      ...[width, height, ratio],
    ];
    const known = this.#made.get(layer.name);
    if (known && of.every((each, i) => each === known.of[i])) return known.picture;
    const picture = isFaint && ground === null ? null : this.#draw(layer, ground);
    this.#made.set(layer.name, { picture, of });
    return picture;
  }

  #draw({ image, classes, off }: Layer, ground: CanvasImageSource | null): HTMLCanvasElement {
    const { width, height, ratio } = this.#size;
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d')!;
    context.imageSmoothingQuality = 'high';
    if (image === null) {
      // What is not there yet: the scene, faintly.
      context.globalAlpha = 0.35;
      if (ground) context.drawImage(ground, 0, 0, width, height);
      return canvas;
    }
    if (classes !== undefined && this.#cover < 1 && ground) {
      context.drawImage(ground, 0, 0, width, height);
      context.globalAlpha = this.#cover;
    }
    // Classes have edges; pictures of few pixels do not get any by being enlarged.
    context.imageSmoothingEnabled = classes === undefined;
    context.drawImage(image, 0, 0, width, height);
    context.globalAlpha = 1;
    if (off) hatch(context, { width, height, ratio });
    return canvas;
  }
}

/** Over what the model is not given. */
function hatch(
  context: CanvasRenderingContext2D,
  { width, height, ratio }: Omit<Paper, 'context'>,
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
