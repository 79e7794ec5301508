/** Experiments: configurations, runs, checkpoints, and what is done with them. */
export { writeFileAtomic, writeFolderAtomic } from '../torch/atomic-write.js';
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
  evaluateNetworks,
  evaluateRun,
  headline,
} from './evaluate.js';
export type { MetricsLine } from './metrics.js';
export { editDistance, nearest } from './nearest.js';
export { createNetworks, disposeNetworks, loadNetworks } from './networks.js';
export { CLASS_FORMATS, checkSheet, OVERLAY_FORMATS, PictureError } from './picture-file.js';
export { type PredictedScene, type PredictOptions, predict } from './predict.js';
export {
  predictorInWorker,
  type WorkerPredictor,
  type WorkerPredictorOptions,
} from './predictor-in-worker.js';
export { type PretrainOptions, type PretrainSummary, pretrain } from './pretrained/pretrain.js';
export { type WeightsPackage, writeWeightsPackage } from './pretrained/weights-package.js';
export { type Resumed, resumeConfig } from './resume.js';
export { freshName, RunFolder } from './run-folder.js';
export { type Settled, settle } from './settle.js';
export { type TrainEvent, type TrainOptions, type TrainSummary, train } from './train.js';
export { type VerifyResult, verifyFile, worstRows } from './verify/verify-file.js';
