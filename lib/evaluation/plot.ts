import { type Colour, classColours } from '../data/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { GLYPH_HEIGHT } from './bitmap-font.js';
import type { Curve } from './curves.js';
import { Picture, textWidth } from './picture.js';
import { curveShape } from './rules.js';

const AXES = { left: 44, top: 24, width: 420, height: 280 };
const LINE = GLYPH_HEIGHT + 8;
const GREY: Colour = [215, 215, 215];
const DARK: Colour = [90, 90, 90];

/** A PNG of robustness curves: mIoU over severity, with a legend of what a severity of 1 is. */
export function curvesPicture(curves: readonly Curve[], title = 'mIoU, %'): Promise<Buffer> {
  checkArguments(
    'curvesPicture',
    { curves, title },
    { curves: is.filled(is.listOf(curveShape)), title: is.text },
  );

  const names = curves.map(nameOf);
  const colours = classColours(names);
  const legendWidth = Math.max(0, ...names.map(textWidth)) + 40;
  const { left, top, width, height } = AXES;
  const picture = new Picture(
    Math.max(left + width + 20, legendWidth + left),
    top + height + 2 * LINE + names.length * LINE + 12,
  );
  const values = curves.flatMap(({ points }) => points.map(({ meanIoU }) => 100 * meanIoU));
  const most = Math.max(10, 10 * Math.ceil(Math.max(0, ...values.filter(Number.isFinite)) / 10));
  const x = (severity: number) => Math.round(left + severity * width);
  const y = (percent: number) => Math.round(top + height - (percent / most) * height);
  picture.write(title, left, 8);
  for (let percent = 0; percent <= most; percent += most > 50 ? 20 : 10) {
    picture.fill(left, y(percent), width, 1, percent === 0 ? DARK : GREY);
    const text = `${percent}`;
    picture.write(text, left - 6 - textWidth(text), y(percent) - 3);
  }
  for (const severity of [0, 0.25, 0.5, 0.75, 1]) {
    picture.fill(x(severity), top, 1, height, severity === 0 ? DARK : GREY);
    const text = `${severity}`;
    picture.write(text, x(severity) - Math.round(textWidth(text) / 2), top + height + 6);
  }
  picture.write('severity', left + width - textWidth('severity'), top + height + 6 + LINE);
  for (const [c, { points }] of curves.entries()) {
    const places = points.flatMap(({ severity, meanIoU }): Place[] =>
      Number.isFinite(meanIoU) ? [[x(severity), y(100 * meanIoU)]] : [],
    );
    for (const [i, place] of places.entries()) {
      if (i > 0) drawLine(picture, places[i - 1]!, place, colours[c]!);
      picture.fill(place[0] - 2, place[1] - 2, 5, 5, colours[c]!);
    }
    const row = top + height + 2 * LINE + 6 + c * LINE;
    picture.fill(left, row, 20, GLYPH_HEIGHT, colours[c]!);
    picture.write(names[c]!, left + 28, row);
  }
  return picture.png();
}

/** `darkness of rgb (1: 5 % of the light, …)`. */
function nameOf({ corruption, modalities, worst }: Curve): string {
  return `${corruption} of ${modalities.join(', ')} (1: ${worst})`;
}

type Place = readonly [x: number, y: number];

/** Two pixels wide. */
function drawLine(picture: Picture, from: Place, to: Place, colour: Colour): void {
  const steps = Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]), 1);
  for (let step = 0; step <= steps; step++) {
    const at = (k: 0 | 1) => Math.round(from[k] + ((to[k] - from[k]) * step) / steps);
    picture.fill(at(0), at(1), 2, 2, colour);
  }
}
