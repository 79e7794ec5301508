/** What arguments of this layer's functions must be; see torch/rules.ts. */

import { modalitySpecShape } from '../data/rules.js';
import { segmentationModelShape } from '../models/rules.js';
import * as is from '../torch/rules.js';

export const contactSheetOptionsShape = is.shape('ContactSheetOptions', {
  specs: is.listOf(modalitySpecShape),
  classes: is.listOf(is.text),
  batches: is.iterable,
});
export const predictClassesOptionsShape = is.shape('PredictClassesOptions', {
  size: is.listOf(is.finite),
  specs: is.listOf(modalitySpecShape),
});
export const predictOptionsShape = is.shape('PredictOptions', {
  specs: is.listOf(modalitySpecShape),
});
export const evaluateOptionsShape = is.shape('EvaluateOptions', {
  models: is.recordOf(segmentationModelShape),
  specs: is.listOf(modalitySpecShape),
  batches: is.iterable,
});
export const headResultShape = is.shape('HeadResult', {
  head: is.anything,
  robustMeanIoU: is.anything,
  cases: is.anything,
});
export const modelResultShape = is.shape('ModelResult', { model: is.text, heads: is.list });
export const robustResultShape = is.shape('RobustResult', {
  images: is.finite,
  fill: is.orNull(is.text),
  robustMeanIoU: is.orNull(is.number),
  models: is.listOf(modelResultShape),
});
export const curvesOptionsShape = is.shape('CurvesOptions', {
  model: segmentationModelShape,
  specs: is.listOf(modalitySpecShape),
  batches: is.iterable,
});
export const curveShape = is.shape('Curve', {
  corruption: is.text,
  modalities: is.listOf(is.text),
  worst: is.text,
  points: is.listOf(is.shape('point', { severity: is.finite, meanIoU: is.number })),
});
