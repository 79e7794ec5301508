// A network in a worker thread: the event loop turns while it computes, and the weights are those of
// the network here, without a copy.
import { isMainThread } from 'node:worker_threads';
import { nn, torch } from 'm3l';
import { inWorker } from 'm3l/inference';

class Net extends nn.Module {
  layers = Array.from({ length: 20 }, () => new nn.Linear(512, 512));

  forward(x) {
    return this.layers.reduce((y, layer) => layer.forward(y).relu(), x);
  }
}

/** What the worker calls: this module is loaded there too. */
export default ({ state }) => {
  const net = new Net();
  net.loadStateDict(state, { assign: true });
  return net;
};

if (isMainThread) {
  const here = new Net();
  const there = await inWorker(new URL(import.meta.url), { data: { state: here.stateDict() } });

  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await torch.scope(async () => {
    const x = torch.randn([2048, 512]);
    const y = await there.forward(x);
    clearInterval(timer);
    const off = torch.noGrad(() => here.forward(x).sub(y).abs().max().item());
    console.log(`[${y.shape}], off by less than 1e-5: ${off < 1e-5}, timers ran: ${turns > 3}`);
  });
  await there.close();
}
