// A small GPT: learns to write a nursery rhyme letter by letter, then continues a line of it.
import { nn, optim, torch } from 'm3l';

const STEPS = Number(process.env.STEPS ?? 400);
const [CONTEXT, WIDTH, HEADS, LAYERS, BATCH] = [32, 64, 4, 2, 16];

const text = `this is the house that jack built.
this is the malt that lay in the house that jack built.
this is the rat that ate the malt that lay in the house that jack built.
this is the cat that killed the rat that ate the malt that lay in the house that jack built.
`;
const letters = [...new Set(text)].sort();
const encode = (part) => [...part].map((letter) => letters.indexOf(letter));
const codes = encode(text);

class Block extends nn.Module {
  attention = new nn.MultiheadAttention(WIDTH, HEADS, { batchFirst: true });
  feedForward = new nn.Sequential(
    new nn.Linear(WIDTH, 4 * WIDTH),
    new nn.GELU(),
    new nn.Linear(4 * WIDTH, WIDTH),
  );
  norm1 = new nn.LayerNorm(WIDTH);
  norm2 = new nn.LayerNorm(WIDTH);

  /** @param x [B, L, WIDTH] */
  forward(x) {
    const y = this.norm1.forward(x);
    // True for what a letter must not see: those after it.
    const attnMask = torch.ones([x.size(1), x.size(1)], { dtype: 'bool' }).triu(1);
    const [seen] = this.attention.forward(y, y, y, { attnMask, needWeights: false });
    const z = x.add(seen);
    return z.add(this.feedForward.forward(this.norm2.forward(z)));
  }
}

class GPT extends nn.Module {
  letters = new nn.Embedding(letters.length, WIDTH);
  places = new nn.Embedding(CONTEXT, WIDTH);
  blocks = new nn.ModuleList(Array.from({ length: LAYERS }, () => new Block()));
  norm = new nn.LayerNorm(WIDTH);
  head = new nn.Linear(WIDTH, letters.length);

  /** @param x [B, L] int64 → logits [B, L, letters] */
  forward(x) {
    const places = torch.arange(x.size(1));
    let y = this.letters.forward(x).add(this.places.forward(places));
    for (const block of this.blocks) y = block.forward(y);
    return this.head.forward(this.norm.forward(y));
  }
}

torch.manualSeed(0);
const model = new GPT();
const optimizer = new optim.AdamW(model.parameters(), { lr: 3e-3 });
const schedule = new optim.CosineAnnealingLR(optimizer, { tMax: STEPS });
const criterion = new nn.CrossEntropyLoss();
const data = torch.tensor(codes, { dtype: 'int64' });

for (let step = 1; step <= STEPS; step++) {
  const loss = torch.scope(() => {
    const starts = torch.randint(0, codes.length - CONTEXT - 1, [BATCH]).toTypedArray();
    const cut = (from) =>
      torch.stack([...starts].map((at) => data.narrow(0, Number(at) + from, CONTEXT)));
    const logits = model.forward(cut(0));
    const error = criterion.forward(logits.flatten(0, 1), cut(1).flatten());
    optimizer.zeroGrad();
    error.backward();
    nn.utils.clipGradNorm_(model.parameters(), 1);
    optimizer.step();
    schedule.step();
    return error.item();
  });
  if (step % 50 === 0 || step === STEPS) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
}

/** The likeliest letters after a beginning. */
function goOn(beginning, count) {
  let written = beginning;
  for (let i = 0; i < count; i++) {
    const next = torch.scope(() =>
      torch.inferenceMode(() => {
        const seen = torch.tensor([encode(written.slice(-CONTEXT))], { dtype: 'int64' });
        return model.forward(seen).select(1, -1).argmax().item();
      }),
    );
    written += letters[next];
  }
  return written;
}

console.log(goOn('this is the rat that ', 40));
optimizer.dispose();
model.dispose();
