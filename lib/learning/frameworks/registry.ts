import type { ModalitySpec } from '../../data/index.js';
import type { SegmentationModel } from '../../models/index.js';
import { LearningError } from '../errors.js';
import type { Framework, FrameworkContext } from '../framework.js';
import { type MaskDraw, maskWeights, seededMasks } from '../masking.js';
import { type LearningOptionsInput, resolveLearningOptions } from '../options.js';
import { m3l } from './m3l.js';
import { meanTeacher } from './mean-teacher.js';
import { meanTeacherModalityDropout } from './mean-teacher-modality-dropout.js';
import { supervised } from './supervised.js';
import { supervisedModalityDropout } from './supervised-modality-dropout.js';

const FACTORIES = {
  supervised,
  'supervised-modality-dropout': supervisedModalityDropout,
  'mean-teacher': meanTeacher,
  'mean-teacher-modality-dropout': meanTeacherModalityDropout,
  m3l,
} satisfies Record<string, (context: FrameworkContext) => Framework>;

export type FrameworkName = keyof typeof FACTORIES;

export const FRAMEWORKS = Object.keys(FACTORIES) as FrameworkName[];

export interface FrameworkInput {
  student: SegmentationModel;
  /** For frameworks with a teacher: a second model of the same architecture. */
  teacher?: SegmentationModel;
  modalities: readonly ModalitySpec[];
  options?: LearningOptionsInput;
  /** Seed of the masks and fills (0). */
  seed?: number;
  /** Which of several data-parallel processes this is (0): each draws its own masks. */
  rank?: number;
  /** Stands in for the seeded draw. */
  masks?: MaskDraw;
}

/**
 * The framework of that name, its options resolved from the fidelity preset.
 * @throws LearningError M3L_UNKNOWN_FRAMEWORK, M3L_NO_TEACHER, M3L_MODALITIES, M3L_MASK_WEIGHTS
 */
export function createFramework(name: FrameworkName, input: FrameworkInput): Framework {
  const { student, teacher, modalities, options, seed = 0, rank = 0 } = input;
  if (!Object.hasOwn(FACTORIES, name)) {
    throw new LearningError(
      'M3L_UNKNOWN_FRAMEWORK',
      `the framework is '${name}': expected one of ${FRAMEWORKS.join(', ')}.`,
    );
  }
  if (student.modalities !== modalities.length) {
    throw new LearningError(
      'M3L_MODALITIES',
      `the model takes ${student.modalities} modalities and the data have ${modalities.length} ` +
        `(${modalities.map((spec) => spec.name).join(', ')}): expected as many. ` +
        'Create the model with `modalities` set to their number.',
    );
  }
  const resolved = resolveLearningOptions(options);
  const names = modalities.map((spec) => spec.name);
  const weights = maskWeights(resolved.maskWeights, names);
  return FACTORIES[name]({
    student,
    teacher,
    modalities,
    options: resolved,
    masks: input.masks ?? seededMasks({ modalities: modalities.length, seed, rank, weights }),
    seed: seed + rank,
  });
}
