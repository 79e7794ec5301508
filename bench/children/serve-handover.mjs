// The network that answers for a run, as bench/peers/predict_server.py reads it: node serve-handover.mjs RUN OUT
import { normalisationOf } from '../../dist/data/index.js';
import { classNames, paletteOf } from '../../dist/experiment/classes.js';
import { requireCheckpoint } from '../../dist/experiment/evaluate.js';
import { RunFolder } from '../../dist/experiment/index.js';
import { headlineOf, loadNetworks, specsOf } from '../../dist/experiment/networks.js';
import { sizingOf } from '../../dist/experiment/sizing.js';
import { torch } from '../../dist/index.js';

const [folder, out] = process.argv.slice(2);
const run = RunFolder.open(folder);
const config = run.config(['device=cpu']);
const { name, backbone, ensemble } = config.model;
const specs = specsOf(config);
const plain = specs.every(
  ({ kind, range, channel, invalid = 0 }) =>
    (kind === 'rgb' || kind === 'depth') &&
    !range &&
    channel === undefined &&
    !Array.isArray(invalid),
);
if (name !== 'linear-fusion' || ensemble !== 'all' || !plain) {
  throw new Error(
    `the Python server has linear-fusion with model.ensemble=all on rgb and depth alone; found ${name} with ` +
      `${ensemble} on ${specs.map(({ kind }) => kind)}. Train one: m3l train potholes --set model.ensemble=all iterations=1`,
  );
}
const classes = classNames(config);
const { networks } = loadNetworks(requireCheckpoint(run, 'latest'), config, classes.length);
const size = sizingOf(config).evaluationSize ?? config.data.resize ?? null;
torch.saveSafetensors(out, networks[headlineOf(config)].stateDict(), {
  backbone: backbone.replace('-', '_'),
  num_classes: String(classes.length),
  size: JSON.stringify(size),
  palette: JSON.stringify(paletteOf(config).flat()),
  modalities: JSON.stringify(
    specs.map((spec) => ({
      name: spec.name,
      kind: spec.kind,
      invalid: spec.invalid ?? null,
      ...normalisationOf(spec),
    })),
  ),
});
