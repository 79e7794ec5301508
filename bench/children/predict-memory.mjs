// Prints how far the resident set rises while a scene is read and segmented by what stands for a model:
// it returns logits at the head's resolution. `predict`: straight to the classes of each pixel; `plain`:
// by way of full-size logits.
import { loadInputs } from '../../dist/data/index.js';
import { predictClasses } from '../../dist/evaluation/index.js';
import { torch } from '../../dist/index.js';
import { bilinear } from '../../dist/models/index.js';
import { resident } from '../status.mjs';

const { way, classes, files, scale = 1 } = JSON.parse(process.argv[2]);
const specs = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
];
const headOf = ([input]) => {
  const [height, width] = input.shape.slice(2).map((side) => Math.ceil(side / 4));
  return torch.randn([1, classes, height, width]);
};
const model = {
  modalities: specs.length,
  numClasses: classes,
  hasMaskToken: true,
  leastSide: 1,
  forwardHeads: (inputs) => [headOf(inputs)],
};
const ways = {
  predict: (inputs, size) => predictClasses(model, inputs, { specs, size, heads: ['ensemble'] })[0],
  plain(inputs, size) {
    const logits = headOf(inputs);
    const full = bilinear(logits, inputs[0].shape.slice(2))(logits);
    return torch.upsampleBilinear2d(full, size, false).argmax(1);
  },
};

torch.scope(() => torch.ones([1]).add(1));
const start = resident('VmRSS');
const { inputs, size } = await loadInputs(specs, files);
const wanted = size.map((side) => Math.round(side * scale));
torch.scope(() => {
  const found = torch.noGrad(() => ways[way](inputs, wanted));
  found.to({ dtype: 'uint8' }).toTypedArray();
});
console.log(JSON.stringify({ megabytes: resident('VmHWM') - start }));
