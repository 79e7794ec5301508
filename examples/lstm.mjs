// An LSTM learns to go on with a wave whose speed it has to find out first.
import { nn, optim, torch } from 'm3l';

const STEPS = Number(process.env.STEPS ?? 300);
const [LENGTH, BATCH, HIDDEN] = [60, 32, 32];

/** Waves [n, LENGTH + 1, 1] of different speeds and phases. */
function waves(count) {
  const time = torch.arange(LENGTH + 1).reshape([1, -1]);
  const speed = torch.rand([count, 1]).mul(0.4).add(0.2);
  const phase = torch.rand([count, 1]).mul(6.28);
  return time.mul(speed).add(phase).sin().unsqueeze(2);
}

class Forecaster extends nn.Module {
  memory = new nn.LSTM(1, HIDDEN, { batchFirst: true });
  head = new nn.Linear(HIDDEN, 1);

  /** The next value after each: [B, L, 1] → [B, L, 1]; and the state to go on from. */
  forward(x, state) {
    const [seen, after] = this.memory.forward(x, state);
    return [this.head.forward(seen), after];
  }
}

torch.manualSeed(0);
const model = new Forecaster();
const optimizer = new optim.Adam(model.parameters(), { lr: 1e-2 });

for (let step = 1; step <= STEPS; step++) {
  const loss = torch.scope(() => {
    const wave = waves(BATCH);
    const [guess] = model.forward(wave.narrow(1, 0, LENGTH));
    const error = nn.functional.mseLoss(guess, wave.narrow(1, 1, LENGTH));
    optimizer.zeroGrad();
    error.backward();
    nn.utils.clipGradNorm_(model.parameters(), 1);
    optimizer.step();
    return error.item();
  });
  if (step % 100 === 0) console.log(`step ${step}: loss ${loss.toFixed(4)}`);
}

// It sees forty values and goes on with its own: twenty more.
const error = torch.scope(() =>
  torch.inferenceMode(() => {
    const wave = waves(64);
    let [guess, state] = model.forward(wave.narrow(1, 0, 40));
    let next = guess.narrow(1, 39, 1);
    const own = [next];
    for (let i = 1; i < 20; i++) {
      [next, state] = model.forward(next, state);
      own.push(next);
    }
    return nn.functional.l1Loss(torch.cat(own, 1), wave.narrow(1, 40, 20)).item();
  }),
);
console.log(`twenty steps ahead it is off by ${error.toFixed(3)} on average`);
optimizer.dispose();
model.dispose();
