import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { backboneNames } from '../../models/index.js';
import { CheckpointError } from '../errors.js';
import { ENCODER_FILE } from './encoder-file.js';

/** This repository's own copies; published packages come without them. */
const FOLDER = fileURLToPath(new URL('../../../configs/weights/', import.meta.url));

/** Name of the package that holds a backbone's weights, trained on `data`. */
export function packageName(data: string, backbone: string): string {
  return `@m3l/weights-${backbone}-${data}`;
}

/**
 * File of a backbone's weights: of their package, as node finds it from the current folder or from
 * m3l, or of the copy in this repository.
 *
 * @throws CheckpointError M3L_PRETRAINED_MISSING naming those backbones that there are weights of
 */
export function findWeights(data: string, backbone: string): string {
  const found = lookFor(data, backbone);
  if (found !== null) return found;
  const name = packageName(data, backbone);
  const others = backboneNames.filter((each) => lookFor(data, each) !== null);
  const there =
    others.length === 0
      ? 'There are none of other backbones either.'
      : `There are weights of ${others.join(', ')}: --set model.backbone=${others[0]}.`;
  throw new CheckpointError(
    'M3L_PRETRAINED_MISSING',
    `model.pretrained: found no weights of ${backbone} trained on ${data}: no package ${name} ` +
      `beside ${resolve('.')} or m3l, and none in ${join(FOLDER, `${backbone}-${data}`)}. ${there} ` +
      `Or install ${name}, make them with m3l pretrain pretrain-${data} --set ` +
      `model.backbone=${backbone} and name the file, or use --set model.pretrained=none.`,
  );
}

function lookFor(data: string, backbone: string): string | null {
  const name = packageName(data, backbone);
  const folders = [resolve('m3l'), fileURLToPath(import.meta.url)].flatMap((from) => {
    try {
      return [dirname(createRequire(from).resolve(`${name}/package.json`))];
    } catch {
      // Not installed there.
      return [];
    }
  });
  const files = [...folders, join(FOLDER, `${backbone}-${data}`)].map((folder) =>
    join(folder, ENCODER_FILE),
  );
  return files.find((file) => existsSync(file)) ?? null;
}
