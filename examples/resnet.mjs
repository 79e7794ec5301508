// A small ResNet learns which of four textures an image has.
import { nn, optim, torch } from 'm3l';

const STEPS = Number(process.env.STEPS ?? 60);

class Residual extends nn.Module {
  constructor(inputs, outputs, stride) {
    super();
    this.body = new nn.Sequential(
      new nn.Conv2d(inputs, outputs, 3, { stride, padding: 1, bias: false }),
      new nn.BatchNorm2d(outputs),
      new nn.ReLU(),
      new nn.Conv2d(outputs, outputs, 3, { padding: 1, bias: false }),
      new nn.BatchNorm2d(outputs),
    );
    this.shortcut =
      stride === 1 && inputs === outputs
        ? new nn.Identity()
        : new nn.Conv2d(inputs, outputs, 1, { stride, bias: false });
  }

  forward(x) {
    return this.body.forward(x).add(this.shortcut.forward(x)).relu();
  }
}

/** Images [n, 3, 24, 24] of stripes along, across and askew, and of dots, in random colours. */
function draw(count) {
  const along = torch.arange(24).reshape([1, 1, -1]).expand([count, 24, 24]);
  const down = along.transpose(1, 2);
  const speed = torch.rand([count, 1, 1]).mul(0.8).add(0.7);
  const [x, y] = [along.mul(speed), down.mul(speed)];
  const kinds = torch.stack([x.sin(), y.sin(), x.add(y).sin(), x.sin().mul(y.sin())], 1);
  const labels = torch.randint(0, 4, [count]);
  const own = kinds.gather(1, labels.reshape([-1, 1, 1, 1]).expand([count, 1, 24, 24]));
  const coloured = own.mul(torch.rand([count, 3, 1, 1]));
  return [coloured.add(torch.randnLike(coloured).mul(0.3)), labels];
}

torch.manualSeed(0);
const model = new nn.Sequential(
  new nn.Conv2d(3, 16, 3, { padding: 1, bias: false }),
  new nn.BatchNorm2d(16),
  new nn.ReLU(),
  new Residual(16, 16, 1),
  new Residual(16, 32, 2),
  new Residual(32, 64, 2),
  new nn.AdaptiveAvgPool2d(1),
  new nn.Flatten(),
  new nn.Linear(64, 4),
);
const optimizer = new optim.SGD(model.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 1e-4 });
const schedule = new optim.OneCycleLR(optimizer, { maxLr: 0.1, totalSteps: STEPS + 1 });

for (let step = 1; step <= STEPS; step++) {
  const loss = torch.scope(() => {
    const [images, labels] = draw(32);
    const error = nn.functional.crossEntropy(model.forward(images), labels);
    optimizer.zeroGrad();
    error.backward();
    optimizer.step();
    schedule.step();
    return error.item();
  });
  if (step % 20 === 0) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
}

model.eval();
const accuracy = torch.scope(() =>
  torch.inferenceMode(() => {
    const [images, labels] = draw(256);
    return model.forward(images).argmax(1).eq(labels).to('float32').mean().item();
  }),
);
console.log(`accuracy ${(100 * accuracy).toFixed(1)} %`);
optimizer.dispose();
model.dispose();
