/** What strangers write on the packages. */
export const USE = `import { nn, optim, torch } from 'm3l';
import { createModel } from 'm3l/models';

torch.manualSeed(0);
const line = new nn.Linear(2, 1);
const optimizer = new optim.SGD(line.parameters(), { lr: 0.1 });
const x = torch.randn([64, 2]);
const y = x.mm(torch.tensor([[2], [-3]])).add(1);
const losses = [];
for (let step = 0; step < 50; step++) {
  torch.scope(() => {
    const loss = torch.mseLoss(line.forward(x), y);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  });
}
const model = createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3, modalities: 2 });
const { ensemble } = torch.noGrad(() => model.eval().forward([torch.rand([1, 3, 32, 32]), null]));
console.log(JSON.stringify({ shape: ensemble.shape, learned: losses.at(-1) < 0.01 * losses[0] }));
`;

/** What it prints. */
export const USED = { shape: [1, 3, 32, 32], learned: true };

export const TYPED = `import { nn, optim, torch } from 'm3l';
import type { Batch } from 'm3l/data';
import { createModel, type Prediction } from 'm3l/models';

export function add(a: torch.Tensor, b: torch.Tensor): torch.Tensor {
  using sum = a.add(b);
  return sum.mul(2);
}
export const predict = (images: torch.Tensor[]): Prediction =>
  createModel({ name: 'linear-fusion', numClasses: 2, modalities: 2 }).forward(images);
export const optimizer = new optim.SGD(new nn.Linear(1, 1).parameters(), { lr: 1 });
// @ts-expect-error no such size
torch.zeros('large');
// @ts-expect-error no such member
torch.zeroes([1]);
export type { Batch };
`;

export const TYPED_COMMONJS = `import { torch } from 'm3l';
import data = require('m3l/data');

export const size: number = torch.ones([2]).numel();
export const { ListDataset } = data;
`;
