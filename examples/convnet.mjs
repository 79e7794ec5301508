// A convolutional network tells digits apart. They are drawn here, shifted and noisy, as a stand-in for MNIST.
import { nn, optim, torch } from 'm3l';

const STEPS = Number(process.env.STEPS ?? 400);
const SIZE = 20;
const DIGITS = [
  '111101101101111',
  '010110010010111',
  '111001111100111',
  '111001111001111',
  '101101111001001',
  '111100111001111',
  '111100111101111',
  '111001010010010',
  '111101111101111',
  '111101111001111',
];

/** [10, 1, 15, 9]: digits of 3 × 5 dots, each dot three pixels wide. */
const shapes = torch
  .tensor(DIGITS.map((dots) => [...dots].map(Number)))
  .reshape([10, 1, 5, 3])
  .repeatInterleave(3, 2)
  .repeatInterleave(3, 3);

/** Images [n, 1, SIZE, SIZE] and their digits [n]. */
function draw(count) {
  const labels = torch.randint(0, 10, [count]);
  const shifts = torch.rand([count, 2]).toArray();
  const images = [...labels.toTypedArray()].map((digit, i) => {
    const [down, right] = [Math.floor(shifts[i][0] * 6), Math.floor(shifts[i][1] * 12)];
    const padding = [right, SIZE - 9 - right, down, SIZE - 15 - down];
    return nn.functional.pad(shapes.select(0, Number(digit)), padding);
  });
  const clean = torch.stack(images);
  return [clean.add(torch.randnLike(clean).mul(0.5)), labels];
}

torch.manualSeed(0);
const model = new nn.Sequential(
  new nn.Conv2d(1, 16, 3, { padding: 1 }),
  new nn.ReLU(),
  new nn.MaxPool2d(2),
  new nn.Conv2d(16, 32, 3, { padding: 1 }),
  new nn.ReLU(),
  new nn.MaxPool2d(2),
  new nn.Flatten(),
  new nn.Linear(32 * 5 * 5, 64),
  new nn.ReLU(),
  new nn.Dropout(0.2),
  new nn.Linear(64, 10),
);
const optimizer = new optim.Adam(model.parameters(), { lr: 2e-3 });
const criterion = new nn.CrossEntropyLoss();

for (let step = 1; step <= STEPS; step++) {
  const loss = torch.scope(() => {
    const [images, labels] = draw(32);
    const error = criterion.forward(model.forward(images), labels);
    optimizer.zeroGrad();
    error.backward();
    optimizer.step();
    return error.item();
  });
  if (step % 100 === 0) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
}

model.eval();
const accuracy = torch.scope(() =>
  torch.inferenceMode(() => {
    const [images, labels] = draw(500);
    return model.forward(images).argmax(1).eq(labels).to('float32').mean().item();
  }),
);
console.log(`accuracy ${(100 * accuracy).toFixed(1)} %`);
torch.dispose(shapes);
optimizer.dispose();
model.dispose();
