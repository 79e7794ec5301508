// A diffusion model (DDPM, Ho et al. 2020) of points: learns to turn noise into two half moons.
import { nn, optim, torch } from 'm3l';

const STEPS = Number(process.env.STEPS ?? 3000);
const [TIMES, WIDTH, BATCH] = [60, 128, 256];

/** Points [n, 2] of two half moons. */
function moons(count) {
  const angle = torch.rand([count, 1]).mul(Math.PI);
  const upper = torch.randint(0, 2, [count, 1]).mul(2).sub(1);
  const x = angle.cos().add(upper.mul(-0.5));
  const y = angle.sin().mul(upper).add(upper.mul(-0.25));
  return torch.cat([x, y], 1).add(torch.randn([count, 2]).mul(0.05));
}

/** How much of the noise there is: rises from almost nothing to almost all. */
const beta = torch.linspace(1e-4, 0.12, TIMES);
const alpha = torch.ones([TIMES]).sub(beta);
const kept = alpha.cumprod(0);

class Denoiser extends nn.Module {
  times = new nn.Embedding(TIMES, WIDTH);
  first = new nn.Linear(2, WIDTH);
  body = new nn.Sequential(
    new nn.SiLU(),
    new nn.Linear(WIDTH, WIDTH),
    new nn.SiLU(),
    new nn.Linear(WIDTH, WIDTH),
    new nn.SiLU(),
    new nn.Linear(WIDTH, 2),
  );

  /** The noise in points [n, 2] at times [n]. */
  forward(x, time) {
    return this.body.forward(this.first.forward(x).add(this.times.forward(time)));
  }
}

torch.manualSeed(0);
const model = new Denoiser();
const optimizer = new optim.AdamW(model.parameters(), { lr: 2e-3 });

for (let step = 1; step <= STEPS; step++) {
  const loss = torch.scope(() => {
    const points = moons(BATCH);
    const time = torch.randint(0, TIMES, [BATCH]);
    const noise = torch.randn([BATCH, 2]);
    const share = kept.indexSelect(0, time).unsqueeze(1);
    const noisy = points.mul(share.sqrt()).add(noise.mul(share.neg().add(1).sqrt()));
    const error = nn.functional.mseLoss(model.forward(noisy, time), noise);
    optimizer.zeroGrad();
    error.backward();
    optimizer.step();
    return error.item();
  });
  if (step % 1000 === 0) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
}

/** Points drawn from noise, from the last time to the first. */
function sample(count) {
  return torch.inferenceMode(() => {
    let x = torch.randn([count, 2]);
    for (let t = TIMES - 1; t >= 0; t--) {
      const [a, b, all] = [alpha, beta, kept].map((values) => values.select(0, t).item());
      const noise = model.forward(x, torch.full([count], t, { dtype: 'int64' }));
      x = x.sub(noise.mul(b / Math.sqrt(1 - all))).div(Math.sqrt(a));
      if (t > 0) x = x.add(torch.randn([count, 2]).mul(Math.sqrt(b)));
    }
    return x;
  });
}

const distance = torch.scope(() => {
  const [drawn, real] = [sample(400), moons(4000)];
  const [rows, columns] = [21, 60];
  const picture = Array.from({ length: rows }, () => Array(columns).fill(' '));
  for (const [x, y] of drawn.toArray()) {
    const [row, column] = [Math.round((1 - y) * 8 + 2), Math.round((x + 1.8) * 16)];
    if (picture[row]?.[column] !== undefined) picture[row][column] = '·';
  }
  console.log(picture.map((line) => line.join('')).join('\n'));
  return torch.cdist(drawn, real).amin(1).mean().item();
});
console.log(`drawn points lie ${distance.toFixed(3)} from the moons on average`);
torch.dispose([beta, alpha, kept]);
optimizer.dispose();
model.dispose();
