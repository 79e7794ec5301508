/** Images, lists, augmentation, the loader with its worker threads, and the procedural rooms. */

export { type ClassTable, IGNORE_LABEL, STANFORD_CLASSES } from './classes.js';
export { type Batch, collate, disposeBatch } from './collate.js';
export { type Colour, classColours, colourise, VOID_COLOUR } from './colours.js';
export { type DatasetOptions, ListDataset } from './dataset.js';
export { augmentBatch } from './device-augment.js';
export { DataError } from './errors.js';
export {
  type EvaluationTransform,
  type NearestRule,
  TRAINING_SCALES,
  type TrainingTransform,
  type Transform,
} from './geometry.js';
export { readChannels, readColour, readGrey, readHeader, readLabels } from './image.js';
export type { ImageBuffer, ImageSource, ImageValues } from './image-source.js';
export { type InputOptions, type LoadedInputs, loadInputs } from './inputs.js';
export type { ModalityKind } from './kinds/kind.js';
export { KIND_NAMES, KINDS, type KindName } from './kinds/registry.js';
export { IMAGENET_MEAN, IMAGENET_STD } from './kinds/rgb.js';
export {
  classOf,
  type LabelOptions,
  type LabelRule,
  type LabelRuleOptions,
  labelRule,
  NO_CLASS,
  rawText,
  suggestLabelMap,
} from './label-rule.js';
export {
  applyLabelRule,
  type ClassPicture,
  describeLabels,
  type LabelValue,
  type RawLabels,
  readRawLabels,
} from './labels.js';
export {
  type ListOptions,
  readList,
  readNames,
  type Sample,
  underRoot,
  withoutLabels,
} from './list.js';
export { type AugmentOn, DataLoader, type DataLoaderOptions } from './loader.js';
export {
  CHANNELS,
  type Channel,
  checkModality,
  type Jitter,
  jitterOf,
  kindOf,
  type ModalitySpec,
  normalisationOf,
  readPlane,
} from './modality.js';
export { palettePng } from './palette-png.js';
export type { Picture, PictureData, PictureDepth, PictureHeader } from './picture.js';
export { type Normalisation, type Plane, resizePlane } from './plane.js';
export { mixSeed, Random, Stream } from './random.js';
export {
  type LoadedSample,
  SampleLoader,
} from './sample-loader.js';
export { type Shard, TrainingSampler } from './sampler.js';
export {
  type FileFacts,
  type LabelFacts,
  type ScanOptions,
  type ScanTask,
  type SceneFacts,
  scanScene,
} from './scan.js';
export {
  type FolderLists,
  type FolderListsOptions,
  writeFolderLists,
} from './sets/folder-lists.js';
export type { DataSet, Plan, PlannedFile, PlannedScene } from './sets/plan.js';
export { type Prepared, type PrepareOptions, prepareDataSet } from './sets/prepare.js';
export { DATA_SETS } from './sets/registry.js';
export { type SplitList, type SplitListOptions, splitList } from './sets/split-list.js';
export { stageValues } from './staging.js';
export { measureNormalisation } from './statistics.js';
export { WorkerPool } from './worker-pool.js';
