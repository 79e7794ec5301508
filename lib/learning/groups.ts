import type * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as is from '../torch/rules.js';
import type { Framework } from './framework.js';
import type { LearningOptions } from './options.js';
import { frameworkShape } from './rules.js';

export interface ParameterGroup {
  name: string;
  params: Tensor[];
  lr: number;
  weightDecay: number;
}

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
 * with "norm": no decay), `decoder`, and `alpha` where it is trained (no decay).
 * Empty groups are left out.
 */
export function parameterGroups(model: nn.Module, options: GroupOptions = {}): ParameterGroup[] {
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
  const encoder: ParameterGroup = { name: 'encoder', params: [], lr: encoderLr, weightDecay };
  const norms = { name: 'encoder-norm', params: [] as Tensor[], lr: encoderLr, weightDecay: 0 };
  const decoder = { name: 'decoder', params: [] as Tensor[], lr: decoderLr, weightDecay };
  const alphas = {
    name: 'alpha',
    params: [] as Tensor[],
    lr: alphaRate * decoderLr,
    weightDecay: 0,
  };
  for (const [name, parameter] of model.namedParameters()) {
    if (name === 'alpha') {
      parameter.requiresGrad_(alpha !== 'fixed');
      if (alpha === 'trained') alphas.params.push(parameter);
    } else if (name.startsWith('encoder.')) {
      (name.includes('norm') ? norms : encoder).params.push(parameter);
    } else {
      decoder.params.push(parameter);
    }
  }
  return [encoder, norms, decoder, alphas].filter((group) => group.params.length > 0);
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
