import type * as nn from '../nn/index.js';

/**
 * A ResNet by torchvision's names, by those of a network whose convolutions all modalities share and whose
 * BatchNorms are one per modality, each with the values of the one that there is.
 *
 * @param prefix of the network's names, such as `model.`
 */
export function sharedResNet(
  shared: nn.StateDict,
  { prefix, modalities }: { prefix: string; modalities: number },
): nn.StateDict {
  const found: nn.StateDict = {};
  for (const [name, tensor] of Object.entries(shared)) {
    const [, layer, leaf] = /^(.*)\.([^.]+)$/.exec(name) ?? [];
    if (layer === undefined) continue;
    if (!/(^|\.)bn\d+$|\.downsample\.1$/.test(layer)) {
      found[`${prefix}${layer}.module.${leaf}`] = tensor;
      continue;
    }
    for (let m = 0; m < modalities; m++) found[`${prefix}${layer}.bn_${m}.${leaf}`] = tensor;
  }
  return found;
}

/** As {@link sharedResNet}, of a network that has torchvision's names below `prefix`. */
export function plainResNet(shared: nn.StateDict, prefix: string): nn.StateDict {
  return Object.fromEntries(
    Object.entries(shared).map(([name, tensor]) => [`${prefix}${name}`, tensor]),
  );
}
