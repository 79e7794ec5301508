import { type ModalitySpec, Stream } from '../../data/index.js';
import type { SegmentationModel } from '../../models/index.js';
import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import { checkClassWeights } from '../class-weights.js';
import { LearningError } from '../errors.js';
import type { Framework, FrameworkDescriptor, Networks } from '../framework.js';
import { type MaskDraw, maskWeights, seededMasks } from '../masking.js';
import { type LearningOptionsInput, resolveLearningOptions } from '../options.js';
import { ALONE, type Peers } from '../peers.js';
import { frameworkDescriptorShape, frameworkInputShape } from '../rules.js';
import { cps } from './cps.js';
import { m3l } from './m3l.js';
import { meanTeacher } from './mean-teacher.js';
import { meanTeacherModalityDropout } from './mean-teacher-modality-dropout.js';
import { supervised } from './supervised.js';
import { supervisedModalityDropout } from './supervised-modality-dropout.js';

/** Every framework, a line each. */
const LISTED = [
  supervised,
  supervisedModalityDropout,
  meanTeacher,
  meanTeacherModalityDropout,
  m3l,
  cps,
] as const;

/** Name of a framework, as configurations have it. */
export type FrameworkName = (typeof LISTED)[number]['name'];

/** Every framework, in the order in which they are told. */
export const frameworks: readonly FrameworkDescriptor<FrameworkName>[] = LISTED;
/** The names of all frameworks. */
export const frameworkNames: readonly FrameworkName[] = LISTED.map(({ name }) => name);

/**
 * A framework's descriptor by its name.
 * @throws LearningError M3L_UNKNOWN_FRAMEWORK
 */
export function frameworkNamed(name: string): FrameworkDescriptor<FrameworkName> {
  checkArguments('frameworkNamed', { name }, { name: is.text });

  const found = frameworks.find((framework) => framework.name === name);
  if (found) return found;
  throw new LearningError(
    'M3L_UNKNOWN_FRAMEWORK',
    `the framework is '${name}': expected one of ${frameworkNames.join(', ')}.`,
  );
}

/** Why a framework cannot learn from these modalities, and the mend; null where it can. */
export function modalitiesRefused(
  framework: FrameworkDescriptor,
  modalities: readonly string[],
): string | null {
  checkArguments(
    'modalitiesRefused',
    { framework, modalities },
    { framework: frameworkDescriptorShape, modalities: is.listOf(is.text) },
  );
  const { name, masksModalities } = framework;

  if (!masksModalities || modalities.length > 1) return null;
  const others = frameworks.filter((framework) => !framework.masksModalities);
  return (
    `'${name}' masks modalities, and there is one (${modalities.join()}): a sample that lost it would ` +
    'show nothing. Choose a framework that masks none ' +
    `(${others.map((framework) => framework.name).join(', ')}), or give a second modality and a ` +
    'model that takes two.'
  );
}

/** What a framework is made of. */
export interface FrameworkInput<Own extends object = object> {
  /**
   * The networks that the framework needs, by name; or what makes one of them: it is called for each in
   * turn. They are the framework's from then on, in its `networks`.
   */
  networks: Networks | (() => SegmentationModel);
  modalities: readonly ModalitySpec[];
  /** With those that the framework has of its own. */
  options?: LearningOptionsInput & Partial<Own>;
  /** Seed of the masks and fills (0). */
  seed?: number;
  /** Of the whole training, for what is a share of it (2,000). */
  iterations?: number;
  /** With whom each batch is shared; absent: with nobody. What is drawn is drawn for the whole of it. */
  peers?: Peers;
  /** Stands in for the seeded draw. */
  masks?: MaskDraw;
  /** Stands in for the seeded draw of a teacher. */
  teacherMasks?: MaskDraw;
}

/**
 * The framework of that name, or of a descriptor, its options resolved from the fidelity preset.
 * @throws LearningError M3L_UNKNOWN_FRAMEWORK, M3L_NETWORKS, M3L_MODALITIES, M3L_MASK_WEIGHTS,
 *   M3L_FRAMEWORK_OPTIONS, M3L_CLASS_WEIGHTS
 */
export function createFramework<Own extends object>(
  framework: FrameworkName | FrameworkDescriptor<string, string, Own>,
  input: FrameworkInput<Own>,
): Framework {
  checkArguments(
    'createFramework',
    { framework, input },
    { framework: is.either(is.text, frameworkDescriptorShape), input: frameworkInputShape },
  );

  const descriptor: FrameworkDescriptor =
    typeof framework === 'string' ? frameworkNamed(framework) : framework;
  const { name, trainable, headline, masksModalities } = descriptor;
  const { modalities, seed = 0, peers = ALONE, iterations = 2000 } = input;
  const names = modalities.map((spec) => spec.name);
  const refused = modalitiesRefused(descriptor, names);
  if (refused !== null) throw new LearningError('M3L_MODALITIES', refused);
  const networks = networksOf(descriptor, input);
  const options = { ...resolveLearningOptions(input.options), ...ownOptions(descriptor, input) };
  checkClassWeights(options.classWeights, networks[headline]!.numClasses);
  const draws = {
    modalities: modalities.length,
    seed,
    weights: maskWeights(options.maskWeights, names),
  };
  const steps = descriptor.create({
    name,
    networks,
    modalities,
    options,
    masks: input.masks ?? seededMasks(draws),
    teacherMasks: input.teacherMasks ?? seededMasks({ ...draws, stream: Stream.teacherMasks }),
    seed,
    iterations,
    peers,
    lossPeers: options.lossOver === 'batch' ? peers : ALONE,
  });
  return { name, networks, trainable, headline, masksModalities, options, ...steps };
}

function networksOf(
  { name, networks: needed }: FrameworkDescriptor,
  { networks: given, modalities }: FrameworkInput,
): Networks {
  const made: Networks =
    typeof given === 'function' ? Object.fromEntries(needed.map((each) => [each, given()])) : given;
  const found = Object.keys(made);
  const fits = found.length === needed.length && needed.every((each) => made[each] !== undefined);
  if (!fits || new Set(Object.values(made)).size < needed.length) {
    throw new LearningError(
      'M3L_NETWORKS',
      `${name} was given ${fits ? 'one model as all of' : 'the networks'} ${found.join(', ') || 'none'}: ` +
        `expected ${needed.join(', ')}, models of the same architecture each. Give them by name, or a ` +
        'function that makes one.',
    );
  }
  const foreign = Object.values(made).find((model) => model.modalities !== modalities.length);
  if (foreign) {
    throw new LearningError(
      'M3L_MODALITIES',
      `the model takes ${foreign.modalities} modalities and the data have ${modalities.length} ` +
        `(${modalities.map((spec) => spec.name).join(', ')}): expected as many. ` +
        'Create the model with `modalities` set to their number.',
    );
  }
  return Object.fromEntries(needed.map((each) => [each, made[each]!]));
}

function ownOptions(
  { name, options, paperOptions }: FrameworkDescriptor,
  input: FrameworkInput,
): object {
  const preset = input.options?.fidelity === 'paper' ? paperOptions : {};
  const result = options?.safeParse({ ...preset, ...input.options });
  if (result === undefined) return {};
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new LearningError('M3L_FRAMEWORK_OPTIONS', `options of ${name}: ${issues.join('; ')}.`);
}
