import type { CaseResult } from '../evaluation/robust.js';
import { type EvaluationReport, headline } from '../experiment/evaluate.js';
import { formatTable, percent } from './table.js';

/** mIoU of every model and head: a column per set of modalities, and their mean. */
export function reportTable(report: EvaluationReport): string {
  const cases = headline(report).cases.map(({ name }) => name);
  const main = headline(report);
  const rows = report.models.flatMap(({ model, heads }) =>
    heads.map((result) => [
      `${model} ${result.head}${result === main ? ' *' : ''}`,
      ...result.cases.map(({ meanIoU }) => percent(meanIoU)),
      percent(result.robustMeanIoU),
    ]),
  );
  const fill = report.fill === null ? 'mask token' : report.fill;
  const replaced = headline(report).cases.some(({ missing }) => missing.length > 0)
    ? `; a missing modality is replaced by: ${fill}`
    : '';
  return `${formatTable(['mIoU', ...cases, 'robust'], rows)}\n* headline${replaced}`;
}

/** A row of what was measured only where it was asked for. */
function further(
  name: string,
  cases: readonly CaseResult[],
  of: (one: CaseResult) => number | undefined,
): string[][] {
  const found = cases.map(of);
  return found.every((value) => value === undefined) ? [] : [[name, ...found.map(percent)]];
}

/** IoU of each class, of the headline, with pixel and mean class accuracy. */
export function detailTable(report: EvaluationReport): string {
  const { cases } = headline(report);
  return formatTable(
    ['IoU', ...cases.map(({ name }) => name)],
    [
      ...report.classes.map((name, index) => [
        name,
        ...cases.map(({ classIoU }) => percent(classIoU[index])),
      ]),
      ['pixel accuracy', ...cases.map(({ pixelAccuracy }) => percent(pixelAccuracy))],
      ['class accuracy', ...cases.map(({ meanClassAccuracy }) => percent(meanClassAccuracy))],
      ...further('boundary IoU', cases, ({ boundaryIoU }) => boundaryIoU),
      ...further('calibration error', cases, ({ calibrationError }) => calibrationError),
    ],
  );
}
