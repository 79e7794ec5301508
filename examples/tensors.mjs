// Tensors, autograd and an optimiser: fits y = 2x + 1 to noisy points.
import { nn, optim, torch } from 'm3l';

torch.manualSeed(0);
const model = new nn.Linear(1, 1);
const optimizer = new optim.AdamW(model.parameters(), { lr: 0.05, weightDecay: 0 });

for (let step = 0; step < 300; step++) {
  // All tensors made in a scope are released at its end.
  torch.scope(() => {
    const x = torch.rand([64, 1]);
    const y = x
      .mul(2)
      .add(1)
      .add(torch.randn([64, 1]).mul(0.05));
    const loss = model.forward(x).sub(y).pow(2).mean();
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
  });
}

const slope = model.weight.item();
const offset = model.bias.item();
console.log(`y = ${slope.toFixed(2)} x + ${offset.toFixed(2)}`);
optimizer.dispose();
model.dispose();
