// Everything that reads an image file, with what it must hold to.
import {
  applyLabelRule,
  describeLabels,
  labelRule,
  loadInputs,
  readChannels,
  readColour,
  readGrey,
  readHeader,
  readLabels,
  readPlane,
  readRawLabels,
  scanScene,
} from '../../dist/data/index.js';
import { M3lError } from '../../dist/torch/errors.js';
import * as torch from '../../dist/torch/index.js';

/** What all of the works throw. */
export async function attempts(...works) {
  const errors = [];
  for (const work of works) {
    try {
      await work();
    } catch (error) {
      errors.push(error);
    }
  }
  if (Object.hasOwn(Object.prototype, 'x') || {}.polluted) {
    errors.push(new Error('Object.prototype was changed'));
  }
  return errors;
}

const SPECS = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
  { name: 'metres', kind: 'depth', scale: 0.001, range: [0, 4], invalid: [0, 65535] },
  { name: 'grey', kind: 'grey' },
  { name: 'second', kind: 'grey', channel: 1 },
];

const RULES = [
  labelRule({ numClasses: 13 }),
  labelRule({ numClasses: 3, labels: { map: { 4: 0, 9: 1 }, void: 'others' } }),
  labelRule({ numClasses: 2, labels: { map: { '#030303': 0, '5,6,7': 1 }, void: 'others' } }),
];

export const readImage = (path) =>
  attempts(
    () => agree(path),
    () => readColour(path),
    () => readGrey(path),
    () => readLabels(path),
    ...SPECS.map((spec) => () => plane(spec, path)),
    ...RULES.map((rule) => () => readLabel(path, rule)),
    () => scan(path),
    () => inputs(path),
  );

/** What the header says must be what is decoded, since bounds are set by it. */
async function agree(path) {
  const header = await readHeader(path);
  const picture = await readChannels(path);
  const { width, height, channels, data } = picture;
  if (
    width !== header.width ||
    height !== header.height ||
    data.length !== width * height * channels
  )
    throw new Error(
      `the header says ${header.width} × ${header.height}, decoded are ${width} × ${height} × ${channels} in ${data.length} values`,
    );
}

async function plane(spec, path) {
  const { offset, divisor } = await readPlane(spec, path);
  // Of a constant image the divisor is infinite: all becomes 0.
  if (!Number.isFinite(offset) || !(divisor > 0))
    throw new Error(`${spec.name}: offset ${offset}, divisor ${divisor}`);
}

export async function readLabel(path, rule) {
  const raw = await readRawLabels(path, rule);
  describeLabels(raw);
  const { data } = applyLabelRule(raw, rule);
  const wrong = data.find((value) => value !== 255 && value >= rule.numClasses);
  if (wrong !== undefined) throw new Error(`class ${wrong} of ${rule.numClasses}`);
}

async function scan(path) {
  const sample = { name: path, files: SPECS.map(() => path), label: path };
  const { problems } = await scanScene(
    { sample, decode: true },
    { modalities: SPECS, rule: RULES[0] },
  );
  for (const { code, message } of problems) if (!code) throw new Error(`without code: ${message}`);
  if (problems.length > 0) throw new M3lError(problems[0].code, problems[0].message);
}

async function inputs(path) {
  const { inputs: made } = await loadInputs([SPECS[1]], [path], { size: [8, 8] });
  try {
    const values = torch.scope(() => [...made[0].contiguous().toTypedArray()]);
    const wrong = values.find((value) => !(value >= 0 && value <= 1));
    if (wrong !== undefined) throw new Error(`depth ${wrong} in the input`);
  } finally {
    torch.dispose(made);
  }
}
