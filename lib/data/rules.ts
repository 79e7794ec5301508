/** What arguments of this layer's functions must be; see torch/rules.ts. */
import * as is from '../torch/rules.js';

export const loadedSampleShape = is.shape('LoadedSample', {
  planes: is.listOf(is.numbers),
  label: is.orNull(is.numbers),
  valid: is.orNull(is.numbers),
  name: is.text,
  height: is.finite,
  width: is.finite,
  labelHeight: is.finite,
  labelWidth: is.finite,
});
export const modalitySpecShape = is.shape('ModalitySpec', { name: is.text, kind: is.text });
export const batchShape = is.shape('Batch', {
  names: is.listOf(is.text),
  modalities: is.listOf(is.tensor),
  labels: is.orNull(is.tensor),
  valid: is.orNull(is.tensor),
});
export const sampleShape = is.shape('Sample', {
  name: is.text,
  files: is.listOf(is.text),
  label: is.orNull(is.text),
});
export const geometryShape = is.shape('Geometry', {
  flip: is.flag,
  scaledWidth: is.finite,
  scaledHeight: is.finite,
  left: is.finite,
  top: is.finite,
  padLeft: is.finite,
  padTop: is.finite,
  width: is.finite,
  height: is.finite,
});
export const rectangleShape = is.shape('Rectangle', {
  left: is.finite,
  top: is.finite,
  width: is.finite,
  height: is.finite,
});
export const labelRuleShape = is.shape('LabelRule', {
  numClasses: is.finite,
  offset: is.finite,
  colours: is.flag,
  listed: is.record,
  othersAreVoid: is.flag,
});
export const labelRuleOptionsShape = is.shape('LabelRuleOptions', { numClasses: is.finite });
export const rawLabelsShape = is.shape('RawLabels', {
  file: is.text,
  channels: is.finite,
  colours: is.flag,
  width: is.finite,
  height: is.finite,
  data: is.numbers,
});
export const listOptionsShape = is.shape('ListOptions', {
  root: is.either(is.text, is.listOf(is.text)),
});
export const trainingTransformShape = is.shape('TrainingTransform', {
  kind: is.text,
  crop: is.list,
});
export const evaluationTransformShape = is.shape('EvaluationTransform', { kind: is.text });
export const normalisationShape = is.shape('Normalisation', {
  mean: is.listOf(is.finite),
  std: is.listOf(is.finite),
});
const shardShape = is.shape('Shard', { rank: is.finite, worldSize: is.finite });
export const trainingSamplerOptionsShape = is.shape('TrainingSamplerOptions', {
  length: is.finite,
  batchSize: is.finite,
  shard: is.maybe(shardShape),
});
export const datasetOptionsShape = is.shape('DatasetOptions', {
  samples: is.listOf(sampleShape),
  modalities: is.listOf(modalitySpecShape),
});
export const planeShape = is.shape('Plane', {
  interpolation: is.text,
  normalisation: normalisationShape,
  channels: is.finite,
  data: is.numbers,
  offset: is.number,
  divisor: is.number,
  bounds: is.list,
  invalid: is.orNull(is.number),
  width: is.finite,
  height: is.finite,
});
export const dataLoaderOptionsShape = is.shape('DataLoaderOptions', {
  transform: is.either(trainingTransformShape, evaluationTransformShape),
  batchSize: is.finite,
  shard: is.maybe(shardShape),
});
export const sampleLoaderOptionsShape = is.shape('SampleLoaderOptions', {
  modalities: is.listOf(modalitySpecShape),
  labelRule: labelRuleShape,
  transform: is.either(trainingTransformShape, evaluationTransformShape),
  seed: is.finite,
  cacheBytes: is.finite,
});
export const scanTaskShape = is.shape('ScanTask', { sample: sampleShape, decode: is.flag });
export const scanOptionsShape = is.shape('ScanOptions', {
  modalities: is.listOf(modalitySpecShape),
  rule: labelRuleShape,
});
export const rawSampleShape = is.shape('RawSample', {
  training: is.flag,
  geometry: geometryShape,
  source: is.list,
  rectangle: rectangleShape,
  planes: is.listOf(planeShape),
  label: is.orNull(is.numbers),
  name: is.text,
  height: is.finite,
  width: is.finite,
  labelHeight: is.finite,
  labelWidth: is.finite,
});
