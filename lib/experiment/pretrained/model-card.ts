import { arch, cpus, release } from 'node:os';
import { configToYaml, type SettledConfig } from '../config/config.js';
import { ENCODER_FILE } from './encoder-file.js';
import type { FinishedRun } from './weights-package.js';

export interface CardFacts {
  /** Of the package. */
  name: string;
  license: string;
  config: SettledConfig;
  finished: FinishedRun;
  bytes: number;
  sha256: string;
}

/** The README of a weights package: what it is, of what, made how, how good, and whose. */
export function modelCard({ name, license, config, finished, bytes, sha256 }: CardFacts): string {
  const { data, model, framework, seed, batch, threads } = config;
  const { device = config.device, iterations, seconds, evaluation } = finished;
  const modalities = Object.entries(data.modalities).map(([modality, { kind }]) =>
    modality === kind ? modality : `${modality} (${kind})`,
  );
  const origin =
    data.rooms === undefined
      ? `the data of ${config.name}`
      : `${data.rooms.labelled} procedural rooms, rendered by m3l itself (seed ${data.rooms.seed})`;
  const images = iterations * batch.labelled;
  const word = data.rooms === undefined ? `FOLDER/${ENCODER_FILE}` : 'rooms';
  return `# ${name}

An encoder to start from: ${model.backbone} for ${modalities.join(', ')}, trained from random weights by
[m3l](https://www.npmjs.com/package/m3l).

    model: { backbone: ${model.backbone}, pretrained: ${word} }

\`${ENCODER_FILE}\`: half precision, ${bytes} bytes, SHA-256 \`${sha256}\`. Names are those of m3l's
models; a modality of another kind takes the norms of rgb.

## How it was made

| | |
|---|---|
| data | ${origin}, pictures ${data.rooms ? data.rooms.size.join(' × ') : 'as configured'}, crop ${data.crop.join(' × ')} |
| framework | ${framework.name}, labelled images${framework.name.endsWith('modality-dropout') ? ' that may lack a modality' : ''} |
| iterations | ${iterations} of ${batch.labelled} images (${images} in all), seed ${seed} |
| time | ${Math.round(seconds / 60)} minutes of training steps on ${device}${threads === undefined ? '' : `, ${threads} thread${threads === 1 ? '' : 's'}`} |
| machine | ${machine()} |
| command | \`m3l pretrain config.yaml\` with the configuration below |

## Scores

mIoU on ${evaluation.images} images of the same kind that were not trained on; robust mIoU
${evaluation.robustMeanIoU === null ? 'not evaluated' : percent(evaluation.robustMeanIoU)}.

${scores(finished)}

## Licence

${license}. ${data.rooms === undefined ? 'Whether the data allow that, whoever publishes it says.' : 'The data are the project’s own: nothing of others is in it.'}

## Configuration

\`\`\`yaml
${configToYaml(config).trimEnd()}
\`\`\`
`;
}

/** That which writes the card, which is as a rule that which trained. */
function machine(): string {
  const all = cpus();
  return `${all.length} × ${all[0]?.model.trim() ?? arch()}, ${process.platform} ${release()}, Node ${process.versions.node}`;
}

function scores({ evaluation }: FinishedRun): string {
  const { heads } = evaluation.models[0]!;
  const names = heads[0]!.cases.map(({ name }) => name);
  const rows = heads.map(({ head, cases }) =>
    row([head, ...cases.map(({ meanIoU }) => percent(meanIoU))]),
  );
  return [row(['head', ...names]), row(['---', ...names.map(() => '---:')]), ...rows].join('\n');
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
