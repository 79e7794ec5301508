import type { ParameterRole, SegmentationModel } from '../models/index.js';
import type * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as is from '../torch/rules.js';
import type { Framework } from './framework.js';
import type { LearningOptions } from './options.js';
import { frameworkShape } from './rules.js';

/** Parameters with their rate and decay. */
export interface ParameterGroup {
  name: string;
  params: Tensor[];
  lr: number;
  weightDecay: number;
}

/** What `parameterGroups` takes by name. */
export interface GroupOptions {
  /** Learning rate of the encoder (1e-4). */
  encoderLr?: number;
  /** Learning rate of everything else (3e-4). */
  decoderLr?: number;
  /** Learning rate of α, where it is trained, as a multiple of `decoderLr` (1). */
  alphaRate?: number;
  /** Weight decay of all but the encoder's norms and α (1e-4). */
  weightDecay?: number;
  /** See `LearningOptions.alpha`. `fixed` also takes α's gradient away. */
  alpha?: LearningOptions['alpha'];
}

/**
 * The authors' parameter groups (m3l.md section 5), for AdamW: `encoder`, `encoder-norm` (names
 * with "norm": no decay), `decoder`, and `alpha` where it is trained (no decay). A model of other names
 * says by its `roleOf` what belongs where. Empty groups are left out.
 */
export function parameterGroups(
  model: nn.Module & Pick<SegmentationModel, 'roleOf'>,
  options: GroupOptions = {},
): ParameterGroup[] {
  checkArguments(
    'parameterGroups',
    { model, options },
    {
      model: is.shape('Module', { forward: is.callback, namedChildren: is.callback }),
      options: is.record,
    },
  );

  const { encoderLr = 1e-4, decoderLr = 3e-4, weightDecay = 1e-4 } = options;
  const { alpha = 'trained', alphaRate = 1 } = options;
  const group = (name: ParameterRole, lr: number, decay: number): ParameterGroup => {
    return { name, params: [], lr, weightDecay: decay };
  };
  const groups: Record<ParameterRole, ParameterGroup> = {
    encoder: group('encoder', encoderLr, weightDecay),
    'encoder-norm': group('encoder-norm', encoderLr, 0),
    decoder: group('decoder', decoderLr, weightDecay),
    alpha: group('alpha', alphaRate * decoderLr, 0),
  };
  const roleOf = model.roleOf?.bind(model) ?? roleByName;
  for (const [name, parameter] of model.namedParameters()) {
    const role = roleOf(name, parameter);
    if (role === 'alpha') parameter.requiresGrad_(alpha !== 'fixed');
    if (role !== 'alpha' || alpha === 'trained') groups[role].params.push(parameter);
  }
  return Object.values(groups).filter(({ params }) => params.length > 0);
}

function roleByName(name: string): ParameterRole {
  if (name === 'alpha') return 'alpha';
  if (!name.startsWith('encoder.')) return 'decoder';
  return name.includes('norm') ? 'encoder-norm' : 'encoder';
}

/** The parameter groups of every network that a framework trains, one network after the other. */
export function trainableGroups(
  framework: Framework,
  rates: Omit<GroupOptions, 'alpha' | 'alphaRate'> = {},
): ParameterGroup[] {
  checkArguments(
    'trainableGroups',
    { framework, rates },
    { framework: frameworkShape, rates: is.record },
  );
  const { networks, trainable, options } = framework;

  return trainable.flatMap((network) =>
    parameterGroups(networks[network]!, {
      ...rates,
      alpha: options.alpha,
      alphaRate: options.alphaRate,
    }).map((group) =>
      trainable.length === 1 ? group : { ...group, name: `${network}.${group.name}` },
    ),
  );
}
