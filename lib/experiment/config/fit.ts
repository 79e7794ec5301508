import { frameworkNamed, modalitiesRefused, resolveLearningOptions } from '../../learning/index.js';
import { type ModelDescriptor, modelNamed, models } from '../../models/index.js';
import type { CheckedConfig, Config } from './schema.js';

/** Refuses a configuration for what stands under a key. */
export type Complain = (key: string, message: string) => never;

/**
 * Whether model, framework and data fit each other, by what the registries say of them; and the
 * choices that follow from that.
 */
export function fitted(
  config: CheckedConfig,
  complain: Complain,
): Pick<Config, 'model' | 'framework' | 'evaluate'> {
  const model = modelNamed(config.model.name);
  const framework = frameworkNamed(config.framework.name);
  const modalities = Object.keys(config.data.modalities);

  const refused = modalitiesRefused(framework, modalities);
  if (refused !== null) complain('framework.name', refused);
  const { least, most } = model.modalities;
  if (modalities.length < least || modalities.length > most) {
    complain(
      'data.modalities',
      `found ${modalities.length} (${modalities.join(', ')}), but ${model.name} takes ` +
        `${range(model)}. Name as many, or choose ${othersFor(modalities.length)}.`,
    );
  }
  const { crop, evaluationSize } = config.data;
  const sizes = {
    'data.crop': crop,
    'data.evaluationSize': evaluationSize,
    'evaluate.window': config.evaluate.window,
  };
  for (const [key, size] of Object.entries(sizes)) {
    if (size === undefined || Math.min(...size) >= model.leastSide) continue;
    complain(
      key,
      `found [${size.join(', ')}], expected at least ${model.leastSide} a side, which '${model.name}' needs.`,
    );
  }
  const { maskToken = framework.masksModalities && model.maskToken } = config.model;
  if (maskToken && !model.maskToken) {
    complain(
      'model.maskToken',
      `${model.name} cannot learn a mask token. Leave it out: a missing modality is filled in (framework.fill, evaluate.fill).`,
    );
  }
  if (config.evaluate.average && framework.trainable.length < 2) {
    complain(
      'evaluate.average',
      `is true, but '${framework.name}' trains one network: there is nothing to average. Leave it out.`,
    );
  }
  if (framework.needsUnlabelled) requireUnlabelled(config, complain);
  const { name, fidelity } = config.framework;
  const { freezeBatchNorm = model.freezeBatchNorm } = config.framework;
  const options = resolveLearningOptions({ ...config.framework, freezeBatchNorm });
  return {
    model: { ...config.model, maskToken },
    framework: { name, fidelity, ...options },
    evaluate: { ...config.evaluate, fill: config.evaluate.fill ?? options.fill },
  };
}

function requireUnlabelled({ batch, data, framework }: CheckedConfig, complain: Complain): void {
  const needs = `'${framework.name}' needs unlabelled images`;
  if (batch.unlabelled === 0) complain('batch.unlabelled', `${needs}: 1 or more.`);
  if (data.rooms === undefined && data.lists?.unlabelled === undefined) {
    complain('data.lists.unlabelled', `is missing: ${needs}.`);
  }
  if (data.rooms?.unlabelled === 0) complain('data.rooms.unlabelled', `${needs}: 1 or more.`);
}

function range({ modalities: { least, most } }: ModelDescriptor): string {
  if (least === most) return `${least}`;
  return most === Number.POSITIVE_INFINITY ? `${least} or more` : `${least} to ${most}`;
}

function othersFor(count: number): string {
  const fitting = models.filter(
    ({ modalities: { least, most } }) => count >= least && count <= most,
  );
  return fitting.length === 0
    ? 'another model'
    : `a model that takes ${count}: ${fitting.map(({ name }) => name).join(', ')}`;
}
