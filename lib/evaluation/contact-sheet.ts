import {
  type Batch,
  type Colour,
  classColours,
  disposeBatch,
  type ModalitySpec,
  VOID_COLOUR,
} from '../data/index.js';
import type { Fill, SegmentationModel } from '../models/index.js';
import { evaluating } from '../nn/evaluating.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as torch from '../torch/index.js';
import { GLYPH_HEIGHT } from './bitmap-font.js';
import { type MissingProtocol, missingName, missingSets } from './missing.js';
import { classPicture, modalityPicture, Picture, textWidth } from './picture.js';
import { predictClasses } from './predict.js';
import { contactSheetOptionsShape } from './rules.js';
import { type Views, viewsOf } from './views.js';

/** What a contact sheet shows. */
export interface ContactSheetOptions extends Views {
  /** What predicts; without one the sheet ends with the labels. */
  model?: SegmentationModel;
  specs: readonly ModalitySpec[];
  /** Class names, for the legend. */
  classes: readonly string[];
  /** One for each class; those of a known data set, else spread hues, where absent. */
  colours?: readonly Colour[];
  /** Samples to show, a row each; the tensors pass to it, which disposes of them. */
  batches: AsyncIterable<Batch> | Iterable<Batch>;
  /** Rows at most (4). */
  rows?: number;
  missing?: MissingProtocol;
  fill?: Fill;
  /** As `EvaluateOptions` has them. */
  alignCorners?: boolean;
}

/** A row: its cells, each drawn over the whole of the row's width and height. */
interface Row {
  cells: readonly Picture[];
  width: number;
  height: number;
}

const GAP = 6;
const LINE = GLYPH_HEIGHT + GAP;
/** Smaller images are enlarged to at least this width, so that titles fit above them. */
const LEAST_WIDTH = 160;
/** Larger ones are reduced to at most this width and height. */
const MOST_SIDE = 512;

/**
 * A PNG: a row per sample; columns: each modality, the label, the ensemble's prediction for each
 * set of missing modalities; a legend of the classes below. Each row has the aspect of its label, or
 * without one of its inputs.
 */
export async function contactSheet(options: ContactSheetOptions): Promise<Buffer> {
  checkArguments('contactSheet', { options }, { options: contactSheetOptionsShape });

  const { specs, classes, model, rows = 4, missing = 'each' } = options;
  const sets = model ? missingSets(missing, specs.length) : [];
  const { colours = classColours(classes) } = options;
  const titles = [
    ...specs.map((spec) => spec.name),
    'label',
    ...sets.map((set) => missingName(set, specs)),
  ];
  const shownRows: Row[] = [];
  const restore = evaluating(model ? [model] : []);
  try {
    for await (const batch of options.batches) {
      try {
        const shown = () => pictures(batch, options, sets, colours);
        shownRows.push(...torch.scope(() => torch.noGrad(shown)));
      } finally {
        disposeBatch(batch);
      }
      if (shownRows.length >= rows) break;
    }
  } finally {
    restore();
  }
  return layOut(titles, shownRows.slice(0, rows), classes, colours).png();
}

/** The rows of a batch, one a sample. */
function pictures(
  batch: Batch,
  { model, specs, fill, alignCorners, ...others }: ContactSheetOptions,
  sets: readonly number[][],
  colours: readonly Colour[],
): Row[] {
  const device = model ? model.parameters()[0]!.device : 'cpu';
  const inputs = batch.modalities.map((input) => input.to({ device }));
  const size = (batch.labels ?? inputs[0]!).shape.slice(-2) as [number, number];
  const asked = { specs, fill, size, alignCorners, ...viewsOf(others) };
  const options = { ...asked, heads: ['ensemble'] } as const;
  const predicted = sets.map(
    (missing) => predictClasses(model!, inputs, { ...options, missing })[0]!,
  );
  const cells = (b: number) => [
    ...specs.map((spec, m) => modalityPicture(batch.modalities[m]!.select(0, b), spec)),
    batch.labels ? classPicture(batch.labels.select(0, b), colours) : new Picture(1, 1),
    ...predicted.map((classMaps) => classPicture(classMaps.select(0, b), colours)),
  ];
  return batch.names.map((_, b) => ({ cells: cells(b), ...cellSize(...size) }));
}

/** Small pictures are enlarged by a whole factor, large ones reduced; the aspect stays. */
function cellSize(height: number, width: number): { width: number; height: number } {
  const enlarged = Math.max(1, Math.ceil(LEAST_WIDTH / width));
  const factor = Math.min(enlarged, MOST_SIDE / Math.max(height, width));
  const side = (pixels: number) => Math.max(1, Math.round(pixels * factor));
  return { width: side(width), height: side(height) };
}

function layOut(
  titles: readonly string[],
  rows: readonly Row[],
  classes: readonly string[],
  colours: readonly Colour[],
): Picture {
  const width = Math.max(LEAST_WIDTH, ...rows.map((row) => row.width));
  const below = rows.reduce((y, { height }) => y + height + GAP, GAP + LINE);
  const legend = legendLines([...classes, 'void'], titles.length * (width + GAP) - GAP);
  const sheet = new Picture(
    GAP + titles.length * (width + GAP),
    below + legend.length * LINE + GAP,
  );
  for (const [column, title] of titles.entries()) {
    sheet.write(title, GAP + column * (width + GAP), GAP);
  }
  let top = GAP + LINE;
  for (const row of rows) {
    for (const [column, cell] of row.cells.entries()) {
      sheet.draw(cell, GAP + column * (width + GAP), top, row.width, row.height);
    }
    top += row.height + GAP;
  }
  for (const [line, entries] of legend.entries()) {
    for (const { name, index, x } of entries) {
      const y = below + GAP + line * LINE;
      sheet.fill(GAP + x, y, GLYPH_HEIGHT, GLYPH_HEIGHT, colours[index] ?? VOID_COLOUR);
      sheet.write(name, GAP + x + GLYPH_HEIGHT + 4, y);
    }
  }
  return sheet;
}

/** Where each class name goes, wrapped to `width` pixels. */
function legendLines(names: readonly string[], width: number) {
  const lines: { name: string; index: number; x: number }[][] = [[]];
  let x = 0;
  for (const [index, name] of names.entries()) {
    const taken = GLYPH_HEIGHT + 4 + textWidth(name) + 2 * GAP;
    if (x > 0 && x + taken > width) {
      lines.push([]);
      x = 0;
    }
    lines.at(-1)!.push({ name, index, x });
    x += taken;
  }
  return lines;
}
