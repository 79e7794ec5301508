import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { makeFolder, writeFolderAtomic } from '../../torch/atomic-write.js';
import { checkArguments } from '../../torch/check-arguments.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import * as is from '../../torch/rules.js';
import { findCheckpoint, loadCheckpoint } from '../checkpoint.js';
import { type Config, configToYaml } from '../config/config.js';
import { RunError, reasonOf } from '../errors.js';
import { readJsonFile } from '../json-file.js';
import { headlineOf } from '../networks.js';
import { runFolderShape } from '../rules.js';
import type { RunFolder } from '../run-folder.js';
import { ENCODER_FILE, type EncoderFacts, saveEncoder } from './encoder-file.js';
import { packageName } from './find-weights.js';
import { modelCard } from './model-card.js';

/** What was written, and where. */
export interface WeightsPackage {
  folder: string;
  /** Name of the npm package. */
  name: string;
  /** The encoder's file. */
  file: string;
  bytes: number;
  sha256: string;
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CONFIG_FILE = 'config.yaml';

/** What the package takes from m3l's own. */
const ownPackage = z.object({ version: z.string(), license: z.string() });

const summaryFile = z.object({
  iterations: z.number(),
  device: z.string().optional(),
  seconds: z.number(),
  evaluation: z.object({
    images: z.number(),
    robustMeanIoU: z.number().nullable(),
    models: z.array(
      z.object({
        heads: z.array(
          z.object({
            head: z.string(),
            cases: z.array(z.object({ name: z.string(), meanIoU: z.number() })),
          }),
        ),
      }),
    ),
  }),
});

/** What a package's card tells of a finished run. */
export type FinishedRun = z.output<typeof summaryFile>;

/**
 * Writes the encoder of a finished run as an npm package: the weights in half precision, the
 * configuration, a card, and m3l's licence.
 *
 * @throws RunError M3L_EXPORT_UNFINISHED, M3L_EXPORT_FOLDER, M3L_RUN_READ; CheckpointError;
 *   M3lError M3L_WRITE_FAILED
 */
export function writeWeightsPackage(run: RunFolder, folder: string): WeightsPackage {
  checkArguments('writeWeightsPackage', { run, folder }, { run: runFolderShape, folder: is.text });

  const config = run.config();
  requireReplaceable(folder);
  const finished = readSummary(run);
  const { version, license } = ownPackage.parse(readJsonFile(join(ROOT, 'package.json')));
  const facts: EncoderFacts = {
    backbone: String(config.model.backbone),
    kinds: Object.values(config.data.modalities).map(({ kind }) => kind),
  };
  const name = packageName(config.data.rooms === undefined ? config.name : 'rooms', facts.backbone);
  const target = resolve(folder);
  let written = { bytes: 0, sha256: '' };
  makeFolder(resolve(target, '..'));
  writeFolderAtomic(target, (temporary) => {
    const text = (file: string, content: string) => writeFileSync(join(temporary, file), content);
    const encoder = join(temporary, ENCODER_FILE);
    saveEncoderOf(run, config, encoder, facts);
    const bytes = readFileSync(encoder);
    written = {
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    };
    text(CONFIG_FILE, configToYaml(config));
    text('README.md', modelCard({ name, license, config, finished, ...written }));
    const hasLicence = existsSync(join(ROOT, 'LICENSE'));
    if (hasLicence) copyFileSync(join(ROOT, 'LICENSE'), join(temporary, 'LICENSE'));
    const description = {
      name,
      version,
      description: `${facts.backbone} encoder weights for m3l, pretrained on ${config.name}`,
      license,
      files: [ENCODER_FILE, CONFIG_FILE],
      m3l: { encoder: { file: ENCODER_FILE, ...facts, dtype: 'float16', sha256: written.sha256 } },
    };
    text('package.json', `${JSON.stringify(description, null, 2)}\n`);
  });
  return { folder: target, name, file: join(target, ENCODER_FILE), ...written };
}

/**
 * @throws RunError M3L_EXPORT_FOLDER where a folder holds what an export must not replace
 */
export function requireReplaceable(folder: string): void {
  if (!existsSync(folder)) return;
  let found: string[];
  try {
    found = readdirSync(folder);
  } catch {
    found = ['a file'];
  }
  if (found.length === 0 || (found.includes(ENCODER_FILE) && found.includes('package.json')))
    return;
  throw new RunError(
    'M3L_EXPORT_FOLDER',
    `${folder}: found ${found.slice(0, 3).join(', ')}, expected an empty folder or a weights package. ` +
      'Give another --export: a package replaces what is in its folder.',
  );
}

function readSummary(run: RunFolder): FinishedRun {
  if (!existsSync(run.summaryFile)) {
    throw new RunError(
      'M3L_EXPORT_UNFINISHED',
      `${run.path} holds no summary.json: its training has not ended. Go on with: m3l pretrain --resume ${run.path}`,
    );
  }
  try {
    return summaryFile.parse(readJsonFile(run.summaryFile));
  } catch (error) {
    throw new RunError(
      'M3L_RUN_READ',
      `${run.summaryFile} is not what a training writes: ${reasonOf(error)}. Train it to its end again: m3l pretrain --resume ${run.path}`,
      { cause: error },
    );
  }
}

function saveEncoderOf(run: RunFolder, config: Config, file: string, facts: EncoderFacts): void {
  const path = findCheckpoint(run.checkpoints, 'latest');
  if (path === null) {
    throw new RunError('M3L_NO_CHECKPOINT', `${run.path} holds no checkpoint: nothing to export.`);
  }
  torch.scope(() => {
    const prefix = `${headlineOf(config)}.`;
    const state: Record<string, Tensor> = {};
    for (const [name, tensor] of Object.entries(
      loadCheckpoint(path, { modelOnly: true }).tensors,
    )) {
      if (name.startsWith(prefix)) state[name.slice(prefix.length)] = tensor;
    }
    saveEncoder(file, state, facts);
  });
}
