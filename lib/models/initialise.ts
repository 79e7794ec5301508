import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';

/**
 * Initialisation from scratch (m3l.md section 1): Linear truncated normal 0.02, convolutions normal
 * by fan-out, biases 0, mask tokens normal with `maskTokenStd`; norms stay 1 and 0.
 */
export function initialise(
  model: nn.Module,
  given: { generator?: torch.Generator; maskTokenStd?: number },
): void {
  checkArguments(
    'initialise',
    { model, given },
    {
      model: is.shape('Module', { forward: is.callback, namedChildren: is.callback }),
      given: is.record,
    },
  );
  const { generator, maskTokenStd = 1 } = given;

  const options = generator ? { generator } : {};
  model.apply((module) => {
    if (module instanceof nn.Linear) nn.init.truncNormal_(module.weight, { std: 0.02, ...options });
    if (module instanceof nn.Conv2d) {
      nn.init.kaimingFanOut_(module.weight, { groups: module.groups, ...options });
    }
    const hasBias = module instanceof nn.Linear || module instanceof nn.Conv2d;
    if (hasBias && module.bias) nn.init.zeros_(module.bias);
  });
  for (const [name, tensor] of model.namedParameters()) {
    if (name.endsWith('mask_token')) nn.init.normal_(tensor, 0, maskTokenStd, options);
  }
}

/** PyTorch's own initial values of convolutions: weights and biases uniform within ±1/sqrt(fan_in). */
export function initialiseAsPyTorch(
  model: nn.Module,
  { generator }: { generator?: torch.Generator },
): void {
  const options = generator ? { generator } : {};
  model.apply((module) => {
    if (!(module instanceof nn.Conv2d)) return;
    const [fanIn] = nn.init.calculateFanInAndFanOut(module.weight);
    nn.init.fanIn_(module.weight, fanIn, options);
    if (module.bias) nn.init.fanIn_(module.bias, fanIn, options);
  });
}

/** Convolutions normal by fan-in with a ReLU's gain, biases 0; norms stay 1 and 0. */
export function initialiseByFanIn(
  model: nn.Module,
  { generator }: { generator?: torch.Generator },
): void {
  const options = generator ? { generator } : {};
  model.apply((module) => {
    if (!(module instanceof nn.Conv2d)) return;
    nn.init.kaimingNormal_(module.weight, { nonlinearity: 'relu', ...options });
    if (module.bias) nn.init.zeros_(module.bias);
  });
}
