/** How good a segmentation is, with everything there and with modalities missing. */

export { evaluating } from '../nn/evaluating.js';
export { AveragedNetworks } from './averaged.js';
export { BoundaryIoU, type BoundaryResult } from './boundary.js';
export { Calibration, type CalibrationResult, type ReliabilityBin } from './calibration.js';
export type { FurtherMeasures, Measured } from './case-measures.js';
export { type ClassMapOptions, classMap } from './class-map.js';
export { ConfusionMatrix, type Metrics, metricsOf } from './confusion-matrix.js';
export { type ContactSheetOptions, contactSheet } from './contact-sheet.js';
export { type Corruption, corruptions } from './corruptions.js';
export { type Curve, type CurvesOptions, type CurvesResult, evaluateCurves } from './curves.js';
export { EvaluationError } from './errors.js';
export { type MissingProtocol, missingSets } from './missing.js';
export { modalityPicture, Picture, textWidth } from './picture.js';
export { curvesPicture } from './plot.js';
export {
  type PredictClassesOptions,
  type PredictOptions,
  predictClasses,
  predictMissing,
} from './predict.js';
export {
  type CaseResult,
  type EvaluateOptions,
  evaluateRobust,
  type HeadResult,
  type ModelResult,
  type RobustResult,
} from './robust.js';
export { type UsedViews, type Views, viewsOf } from './views.js';
