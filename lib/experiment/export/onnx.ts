import { dirname, resolve } from 'node:path';
import { normalisationOf } from '../../data/index.js';
import type { Networks } from '../../learning/index.js';
import type { SegmentationModel } from '../../models/index.js';
import { type OnnxSummary, saveOnnx } from '../../onnx/index.js';
import { makeFolder } from '../../torch/atomic-write.js';
import { checkArguments } from '../../torch/check-arguments.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import * as is from '../../torch/rules.js';
import { classNames } from '../classes.js';
import type { Config } from '../config/config.js';
import { RunError } from '../errors.js';
import { modalityIndex, requireCheckpoint } from '../evaluate.js';
import { disposeNetworks, headlineOf, loadNetworks, prepareTorch, specsOf } from '../networks.js';
import { runFolderShape } from '../rules.js';
import type { RunFolder } from '../run-folder.js';
import { sizingOf } from '../sizing.js';

/** What of a prediction the model gives, each an output. */
export const ONNX_HEADS = ['ensemble', 'all'] as const;

/** What `exportOnnx` takes by name. */
export interface ExportOnnxOptions {
  /** The file. */
  out: string;
  /** Modalities that the model is given; all by default. The others are missing. */
  modalities?: readonly string[] | undefined;
  /** [height, width] of the images; that of the evaluation, else the training's crop, by default. */
  size?: readonly [number, number] | undefined;
  /** Images at once; 1 by default. */
  batch?: number | undefined;
  /** `ensemble` by default. */
  heads?: (typeof ONNX_HEADS)[number] | undefined;
  checkpoint?: 'best' | 'latest' | undefined;
  /** The network of the framework; its headline by default. */
  network?: string | undefined;
}

/** What was written, and of what; plain JSON. */
export interface ExportedOnnx extends OnnxSummary {
  out: string;
  checkpoint: string;
  iteration: number;
}

/**
 * Writes a trained model as ONNX (opset 18), in evaluation mode and float32: an input `NAME` [B, 3, H, W] for
 * each modality, normalised as the configuration says, and the output `logits` [B, K, H, W], with `heads:
 * 'all'` also `logits_NAME` of each modality's head. Every size is fixed. The file's metadata say what
 * the inputs and classes are.
 *
 * @throws EvaluationError M3L_MISSING_MODALITY; RunError M3L_EXPORT; OnnxError M3L_ONNX; CheckpointError
 */
export function exportOnnx(run: RunFolder, options: ExportOnnxOptions): ExportedOnnx {
  checkArguments(
    'exportOnnx',
    { run, options },
    { run: runFolderShape, options: is.shape('options', { out: is.text }) },
  );

  const config = run.config(['device=cpu', 'precision=float32']);
  prepareTorch(config);
  const specs = specsOf(config);
  const names = specs.map(({ name }) => name);
  const given = options.modalities ?? names;
  for (const name of given) modalityIndex(name, names);
  const path = requireCheckpoint(run, options.checkpoint ?? 'latest');
  const classes = classNames(config);
  const { networks, iteration } = loadNetworks(path, config, classes.length);
  try {
    const model = chosen(networks, options.network ?? headlineOf(config));
    const size = options.size ?? sizingOf(config).evaluationSize ?? config.data.crop;
    makeFolder(dirname(resolve(options.out)));
    const summary = torch.scope(() => write(model, config, { ...options, names, given, size }));
    return { out: options.out, checkpoint: path, iteration, ...summary };
  } finally {
    disposeNetworks(networks);
  }
}

function write(
  model: SegmentationModel,
  config: Config,
  {
    out,
    names,
    given,
    size,
    batch = 1,
    heads = 'ensemble',
  }: ExportOnnxOptions & {
    names: readonly string[];
    given: readonly string[];
    size: readonly [number, number];
  },
): OnnxSummary {
  const inputs = Object.fromEntries(given.map((name) => [name, torch.zeros([batch, 3, ...size])]));
  const predict = (of: Record<string, Tensor>) => {
    const { heads: own, ensemble } = model.forward(names.map((name) => of[name] ?? null));
    return heads === 'all' ? [ensemble, ...own] : [ensemble];
  };
  model.eval();
  return saveOnnx(out, predict, inputs, {
    model,
    name: config.name,
    outputs: ['logits', ...(heads === 'all' ? names.map((name) => `logits_${name}`) : [])],
    metadata: {
      model: config.model.name,
      classes: JSON.stringify(classNames(config)),
      modalities: JSON.stringify(
        specsOf(config)
          .filter(({ name }) => given.includes(name))
          .map((spec) => ({ name: spec.name, kind: spec.kind, ...normalisationOf(spec) })),
      ),
      ignore_index: '255',
    },
  });
}

function chosen(networks: Networks, name: string): SegmentationModel {
  const model = networks[name];
  if (model !== undefined) return model;
  throw new RunError(
    'M3L_EXPORT',
    `found network '${name}', expected one of ${Object.keys(networks).join(', ')}`,
  );
}
