// Prints how far the most live tensors and the largest resident set of the second half of a million
// operators in one style are above those of the first.
import { torch } from '../../dist/index.js';
import { resident } from '../status.mjs';

const COUNT = 1_000_000;
const PER_TURN = 1_000;
const style = JSON.parse(process.argv[2]);

const [a, w] = torch.detached(() => {
  const weights = torch.ones([16, 16]);
  weights.requiresGrad = true;
  return [torch.ones([16, 16]), weights];
});

const turn = (operator) => {
  for (let i = 0; i < PER_TURN; i++) operator();
};
const turns = {
  scoped: () => torch.scope(() => turn(() => a.add(a))),
  asyncScope: () =>
    torch.scope(async () => {
      turn(() => a.add(a));
      await null;
    }),
  unscoped: () => turn(() => a.add(a)),
  withGradients: () =>
    torch.scope(() => {
      for (let i = 0; i < PER_TURN / 10; i++) {
        // Ten operators: eight forward, a sum and its backward.
        let y = w;
        for (let k = 0; k < 8; k++) y = y.mul(a);
        y.sum().backward();
      }
      w.grad = null;
    }),
  unscopedWithGradients: () => turn(() => w.mul(a)),
};

/** The most of each half: what is not scoped goes up and down with V8's collections. */
const most = [0, 1].map(() => ({ tensors: 0, megabytes: 0 }));
for (let done = PER_TURN; done <= COUNT; done += PER_TURN) {
  await turns[style]();
  if (style.startsWith('unscoped')) await new Promise(setImmediate);
  const half = most[done > COUNT / 2 ? 1 : 0];
  half.tensors = Math.max(half.tensors, torch.memory().tensors);
  half.megabytes = Math.max(half.megabytes, resident('VmRSS'));
}
const [first, second] = most;
console.log(
  JSON.stringify({
    tensors: second.tensors - first.tensors,
    megabytes: second.megabytes - first.megabytes,
    mostTensors: second.tensors,
  }),
);
