/** Images, lists, augmentation, the loader with its worker threads, and the procedural rooms. */

export { type ClassTable, IGNORE_LABEL, POTHOLE_CLASSES, STANFORD_CLASSES } from './classes.js';
export { type Batch, collate, disposeBatch } from './collate.js';
export { type Colour, classColours, colourise, VOID_COLOUR, viridis } from './colours.js';
export { type DatasetOptions, ListDataset } from './dataset.js';
export { augmentBatch } from './device-augment.js';
export { DataError } from './errors.js';
export {
  type EvaluationTransform,
  TRAINING_SCALES,
  type TrainingTransform,
  type Transform,
} from './geometry.js';
export { readChannels, readColour, readGrey, readHeader, readLabels } from './image.js';
export { type InputOptions, type LoadedInputs, loadInputs } from './inputs.js';
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
  IMAGENET_MEAN,
  IMAGENET_STD,
  type Jitter,
  jitterOf,
  type ModalitySpec,
  type Normalisation,
  normalisationOf,
  type Plane,
  readPlane,
} from './modality.js';
export type { Picture, PictureData, PictureDepth, PictureHeader } from './picture.js';
export { mixSeed, Random, Stream } from './random.js';
export {
  type LoadedSample,
  type RawSample,
  SampleLoader,
  type SampleTask,
} from './sample-loader.js';
export { type Draw, type Sampler, SequentialSampler, TrainingSampler } from './sampler.js';
export { stageValues } from './staging.js';
