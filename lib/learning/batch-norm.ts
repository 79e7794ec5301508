import * as nn from '../nn/index.js';

/** Holds every BatchNorm at its running statistics; its affine part is still trained. */
export function freezeBatchNorm(model: nn.Module): void {
  for (const module of model.modules()) {
    if (module instanceof nn.BatchNorm2d) module.frozen = true;
  }
}
