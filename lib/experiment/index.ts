/** Experiments: configurations, runs, checkpoints, and what is done with them. */
export { writeFileAtomic, writeFolderAtomic } from '../torch/atomic-write.js';
export {
  type BenchmarkEvent,
  type BenchmarkReport,
  type BenchmarkRow,
  type RunSuiteOptions,
  runSuite,
} from './benchmark/run-suite.js';
export {
  type BenchmarkJob,
  type Published,
  readSuite,
  type Suite,
} from './benchmark/suite-file.js';
export { benchmarkTable } from './benchmark/table.js';
export { type CheckOptions, checkData } from './check/check.js';
export type { CheckReport, Finding, SplitReport } from './check/report.js';
export { drawSheet } from './check/sheet.js';
export {
  type Checkpoint,
  checkSameModel,
  findCheckpoint,
  loadCheckpoint,
  recordScore,
  saveCheckpoint,
} from './checkpoint.js';
export {
  type CompareEvent,
  type CompareJob,
  type CompareOptions,
  compareFrameworks,
} from './compare-frameworks.js';
export {
  type ComparedRun,
  type Comparison,
  type ComparisonRow,
  compareRuns,
  type Gain,
  type RunScore,
  type Spread,
} from './comparison.js';
export {
  type Config,
  checkConfig,
  configToYaml,
  resolveConfig,
  type SettledConfig,
} from './config/config.js';
export type { Choice, DataFacts } from './config/follow-data.js';
export { type Datasets, openDatasets, requireDataRoot } from './datasets.js';
export { CheckpointError, ConfigError, Interrupted, RunError } from './errors.js';
export {
  type EvaluateRunOptions,
  type EvaluationReport,
  evaluateRun,
  headline,
} from './evaluate.js';
export {
  type ExportedOnnx,
  type ExportOnnxOptions,
  exportOnnx,
  ONNX_HEADS,
} from './export/onnx.js';
export { writeLegend } from './legend.js';
export type { MetricsLine } from './metrics.js';
export { editDistance, nearest } from './nearest.js';
export { createNetworks, disposeNetworks, loadNetworks } from './networks.js';
export { checkSheet, PictureError } from './picture-file.js';
export { type PredictOptions, predict } from './predict.js';
export { type FailedScene, type PredictManyOptions, predictMany } from './predict-many.js';
export type { ThreadDeath } from './predictor/engine.js';
export type {
  ImagePrediction,
  Pixels,
  PredictionOutput,
  PredictorImage,
  PredictorImages,
} from './predictor/images.js';
export { PREDICTION_OUTPUTS } from './predictor/images.js';
export {
  type ImagePredictor,
  type OpenPredictorOptions,
  openPredictor,
  type PredictImagesOptions,
} from './predictor/open-predictor.js';
export {
  predictorInWorker,
  type WorkerPredictor,
  type WorkerPredictorOptions,
} from './predictor-in-worker.js';
export { type PretrainOptions, type PretrainSummary, pretrain } from './pretrained/pretrain.js';
export { type WeightsPackage, writeWeightsPackage } from './pretrained/weights-package.js';
export { type Resumed, resumeConfig } from './resume.js';
export { measureRobustness, type RobustnessOptions, type RobustnessReport } from './robustness.js';
export { freshName, RunFolder } from './run-folder.js';
export { compareRunFolders, type RunsSideBySide } from './runs/compare-run-folders.js';
export { type ListedRun, listRuns, type RunState } from './runs/list-runs.js';
export type { PredictedScene } from './scene-predictor.js';
export { isSeveral, type Scene, scenesOf } from './scenes.js';
export { type Settled, settle } from './settle.js';
export { encodeFrame, streamOutputs } from './stream/encode-frame.js';
export {
  type PredictStreamOptions,
  predictStream,
  type StreamPrediction,
} from './stream/predict-stream.js';
export type { Fault } from './stream/sensor.js';
export { STREAM_WRITES, type StreamWrites } from './stream/writes.js';
export { type TrainEvent, type TrainOptions, type TrainSummary, train } from './train.js';
export { type VerifyResult, verifyFile } from './verify/verify-file.js';
export {
  type ConvertedWeights,
  type ConvertWeightsOptions,
  convertWeights,
  WEIGHTS_TARGETS,
  type WeightsTarget,
} from './weights/convert.js';
export { type EvaluateWeightsOptions, evaluateWeights } from './weights/evaluate-weights.js';
export { type ImportedWeights, importWeights } from './weights/import-run.js';
export { type InspectedWeights, inspectWeights } from './weights/inspect.js';
