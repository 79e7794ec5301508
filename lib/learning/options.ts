import type { Fill } from '../models/missing-modalities/fills.js';

/** `paper`: as the authors' implementation does it. `default`: its quirks mended, one option each. */
export type Fidelity = 'paper' | 'default';

/** Everything a framework can be told, resolved. See m3l.md section 5. */
export interface LearningOptions {
  /** `train`: the teacher labels with its dropout and drop-path active (the authors' quirk). */
  teacherMode: 'eval' | 'train';
  /**
   * The ensemble's weights: `untrained` leaves α in no parameter group (the authors' quirk),
   * `trained` gives it one, `fixed` takes its gradient away altogether.
   */
  alpha: 'untrained' | 'trained' | 'fixed';
  /** Whether the pseudo loss also counts padded pixels (the authors' quirk). */
  pseudoOnPadding: boolean;
  /** Ignore pseudo labels that the teacher gives a lower probability; null: take all. */
  confidenceThreshold: number | null;
  /** λ, the weight of the pseudo loss. */
  lambda: number;
  /**
   * Iterations over which λ rises linearly from 0 (Tarvainen & Valpola 2017). 0, the paper's: none.
   * From scratch the first labels of a teacher say little, and a student that believes them stays so.
   */
  lambdaWarmup: number;
  /** `minKept`, where given, stands instead of floor(minKeptFraction · H · W) · batch size. */
  ohem: { threshold: number; minKeptFraction: number; minKept?: number };
  /** Part of a masked modality's tokens that the mask token replaces, in (0, 1]. */
  maskingRatio: number;
  /**
   * How often a masked sample loses each modality, by name, and 'none', relative to each other; 1 where
   * not given, the paper's. More for the one without which the model has most to learn.
   */
  maskWeights: Readonly<Record<string, number>>;
  /** What replaces a masked modality of a model without a mask token. */
  fill: Fill;
  /** Upper limit of the teacher's EMA factor. */
  emaDecay: number;
  /** BatchNorm stays in evaluation mode while training. */
  freezeBatchNorm: boolean;
  /**
   * Whether mask tokens that a step does not read (those of patch embeddings 2 to 4 never are) have a
   * gradient of 0 in place of none, so that momentum and weight decay still move them (the authors'
   * quirk).
   */
  decayIdleTokens: boolean;
  /** Also report the teacher's own supervised loss (costs its full-size heads). */
  reportTeacherLoss: boolean;
}

export type LearningOptionsInput = { fidelity?: Fidelity } & Partial<
  Omit<LearningOptions, 'ohem'>
> & {
    ohem?: Partial<LearningOptions['ohem']>;
  };

const SHARED = {
  confidenceThreshold: null,
  lambda: 1,
  lambdaWarmup: 0,
  ohem: { threshold: 0.7, minKeptFraction: 0.08 },
  maskingRatio: 1,
  maskWeights: {},
  fill: 'zeros',
  emaDecay: 0.99,
  freezeBatchNorm: true,
  reportTeacherLoss: false,
} as const;

const PRESETS: Record<Fidelity, LearningOptions> = {
  paper: {
    ...SHARED,
    teacherMode: 'train',
    alpha: 'untrained',
    pseudoOnPadding: true,
    decayIdleTokens: true,
  },
  default: {
    ...SHARED,
    teacherMode: 'eval',
    alpha: 'trained',
    pseudoOnPadding: false,
    decayIdleTokens: false,
  },
};

/** The preset of `fidelity` (default: `default`) with whatever else is given put over it. */
export function resolveLearningOptions(given: LearningOptionsInput = {}): LearningOptions {
  const { fidelity = 'default', ohem, ...rest } = given;
  const preset = PRESETS[fidelity];
  const set = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return { ...preset, ...set, ohem: { ...preset.ohem, ...ohem } };
}
