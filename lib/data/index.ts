/** Images, lists, augmentation, the loader with its worker threads, and the procedural rooms. */

export {
  type ClassTable,
  colourise,
  IGNORE_LABEL,
  POTHOLE_CLASSES,
  palette,
  STANFORD_CLASSES,
} from './classes.js';
export { type Batch, collate, disposeBatch } from './collate.js';
export { type DatasetOptions, ListDataset } from './dataset.js';
export { augmentBatch } from './device-augment.js';
export { DataError } from './errors.js';
export {
  type EvaluationTransform,
  TRAINING_SCALES,
  type TrainingTransform,
  type Transform,
} from './geometry.js';
export { type Picture, readColour, readGrey, readLabels } from './image.js';
export { type InputOptions, type LoadedInputs, loadInputs } from './inputs.js';
export { type ListOptions, readList, readNames, type Sample, withoutLabels } from './list.js';
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
export { Random } from './random.js';
export { type Room, type RoomOptions, renderRoom } from './rooms/render-room.js';
export { type RoomsFolder, type WriteRoomsOptions, writeRooms } from './rooms/write-rooms.js';
export {
  type LoadedSample,
  type RawSample,
  SampleLoader,
  type SampleTask,
} from './sample-loader.js';
export { type Draw, type Sampler, SequentialSampler, TrainingSampler } from './sampler.js';
export { stageValues } from './staging.js';
