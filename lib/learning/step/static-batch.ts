import type { Batch } from '../../data/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { LearningError } from '../errors.js';
import { sizeOf, type TrainingBatch } from '../framework.js';

/** One batch's worth of tensors on a device, made for the first batch and overwritten by the others. */
export class StaticBatch {
  #batch: TrainingBatch | null = null;

  /** @param device where to keep them; absent: where the first batch is */
  constructor(private readonly device?: string | undefined) {}

  /**
   * Copies a batch in.
   * @throws LearningError M3L_STATIC_SHAPE where it is not as the first was
   */
  load(given: TrainingBatch): TrainingBatch {
    this.#batch ??= {
      labelled: this.#like(given.labelled),
      ...(given.unlabelled ? { unlabelled: this.#like(given.unlabelled) } : {}),
    };
    copyBatch('labelled', this.#batch.labelled, given.labelled);
    const { unlabelled } = this.#batch;
    if (unlabelled && given.unlabelled) copyBatch('unlabelled', unlabelled, given.unlabelled);
    else if (unlabelled || given.unlabelled) {
      const found = given.unlabelled ? 'unlabelled images' : 'none';
      throw changed('the batch', found, unlabelled ? 'unlabelled images' : 'none');
    }
    return this.#batch;
  }

  dispose(): void {
    torch.dispose(this.#batch);
    this.#batch = null;
  }

  #like({ names, modalities, labels, valid }: Batch): Batch {
    const like = ({ shape, dtype, device }: Tensor) =>
      torch.empty([...shape], { dtype, device: this.device ?? device });
    return torch.detached(() => ({
      names,
      modalities: modalities.map(like),
      labels: labels && like(labels),
      // There for every batch: which of them have padding changes from one to the next.
      valid: valid
        ? like(valid)
        : torch.empty([sizeOf({ modalities } as Batch), ...modalities[0]!.shape.slice(2)], {
            dtype: 'bool',
            device: this.device ?? modalities[0]!.device,
          }),
    }));
  }
}

function copyBatch(name: string, to: Batch, from: Batch): void {
  if (to.modalities.length !== from.modalities.length) {
    const [found, expected] = [from.modalities.length, to.modalities.length];
    throw changed(`the ${name} batch`, `${found} modalities`, `${expected}`);
  }
  for (const [m, modality] of to.modalities.entries()) {
    copy(`modality ${m} of the ${name} batch`, modality, from.modalities[m]!);
  }
  if (to.labels && from.labels) copy(`labels of the ${name} batch`, to.labels, from.labels);
  else if (to.labels || from.labels) {
    throw changed(
      `the ${name} batch`,
      from.labels ? 'labels' : 'none',
      to.labels ? 'labels' : 'none',
    );
  }
  if (from.valid) copy(`valid of the ${name} batch`, to.valid!, from.valid);
  else to.valid!.fill_(true);
}

function copy(name: string, to: Tensor, from: Tensor): void {
  const kind = ({ shape, dtype }: Tensor) => `[${shape}] ${dtype}`;
  if (kind(to) !== kind(from)) throw changed(name, kind(from), kind(to));
  to.copy_(from);
}

function changed(what: string, found: string, expected: string): LearningError {
  return new LearningError(
    'M3L_STATIC_SHAPE',
    `${what}: found ${found}, expected ${expected} as in the first step, which is repeated on the same ` +
      'memory. Give every batch the same number and size of images, or train without cudaGraph.',
  );
}
