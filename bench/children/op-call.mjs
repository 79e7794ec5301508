// node op-call.mjs WHICH CALLS: prints the nanoseconds a call of `add` on two 4-element tensors, "scoped"
// or "unscoped".
import { torch } from '../../dist/index.js';

const [which, calls] = process.argv.slice(2).map((text) => JSON.parse(text));
/** Temporaries of one scope: enough that opening and closing it is in the price, but small. */
const PER_SCOPE = 1_000;

const [a, b] = torch.detached(() => [torch.ones([4]), torch.ones([4])]);

const works = {
  scoped() {
    for (let done = 0; done < calls; done += PER_SCOPE) {
      torch.scope(() => {
        for (let i = 0; i < PER_SCOPE; i++) torch.add(a, b);
      });
    }
  },
  unscoped() {
    for (let i = 0; i < calls; i++) torch.add(a, b);
  },
};

const work = works[which];
work();
const start = process.hrtime.bigint();
work();
console.log(JSON.stringify({ ns: Number(process.hrtime.bigint() - start) / calls }));
