import { describe, expect, it } from 'vitest';
import { runRanks } from '../../helpers/ranks.js';

const library = new URL('../../../dist/index.js', import.meta.url).href;

describe('torch.distributed', () => {
  it('01 reduces, copies and gathers over two processes', async () => {
    const ranks = await runRanks(
      2,
      `
      say([distributed.isAvailable(), distributed.isInitialized(), distributed.localRank()]);
      const group = distributed.initProcessGroup({ timeoutSeconds: 60 });
      const { rank } = group;
      say([distributed.isInitialized(), rank, group.worldSize, group.backend]);
      const values = [];
      for (const dtype of ['float32', 'float64', 'float16', 'bfloat16', 'int64', 'int32', 'int8', 'uint8']) {
        for (const operation of ['sum', 'min', 'max', 'product']) {
          const tensor = torch.tensor([rank + 1, 3]).to(dtype);
          group.allReduce(tensor, operation);
          values.push([operation, ...tensor.to('float32').toArray()].join(' '));
        }
      }
      say([...new Set(values)]);
      const mean = torch.tensor([1, 2]).mul(2 * rank + 1);
      group.allReduce(mean, 'mean');
      say(mean.toArray());
      const transposed = torch.arange(6).to('float32').reshape([2, 3]).t();
      group.allReduce(transposed);
      say(transposed.toArray());
      const half = torch.full([2], 60000, { dtype: 'float16' });
      group.allReduce(half, 'mean');
      say(half.to('float32').toArray());
      const either = torch.tensor([rank === 1, false]);
      group.allReduce(either, 'max');
      say(either.toArray());
      const complex = torch.complex(torch.tensor([1.0]), torch.tensor([rank]));
      group.allReduce(complex);
      say([complex.real().toArray(), complex.imag().toArray()]);
      const copied = torch.tensor([rank, rank], { dtype: 'int16' });
      group.broadcast(copied, 1);
      say(copied.toArray());
      const scattered = torch.tensor([[1, 2], [3, 4]]).t();
      group.broadcast(scattered);
      say(scattered.toArray());
      say(group.allGather(torch.full([2], rank === 1, { dtype: 'bool' })).map((one) => one.toArray()));
      say(group.allGather(torch.tensor(rank)).map((one) => one.item()));
      say(group.reduceScatter(torch.arange(4).to('float32')).toArray());
      say(group.reduceScatter(torch.arange(4).to('float32'), 'mean').toArray());
      say(group.allGatherObject({ rank, text: 'ä'.repeat(rank) }));
      say(group.broadcastObject(rank === 1 ? [1, { a: null }] : 'not looked at', 1));
      const empty = torch.empty([0, 3]);
      group.allReduce(empty);
      group.broadcast(empty);
      say(group.allGather(empty).map((one) => one.shape));
      const work = group.allReduceAsync(torch.ones([1000]));
      let turns = 0;
      const timer = setInterval(() => turns++, 1);
      await work.done;
      clearInterval(timer);
      work.wait();
      say([work.isDone()]);
      distributed.destroyProcessGroup();
      say([distributed.isInitialized(), caught(() => distributed.processGroup()).split(':')[0]]);
      `,
    );
    for (const [rank, { said, status, stderr }] of ranks.entries()) {
      expect(status, stderr).toBe(0);
      expect(said).toEqual([
        [true, false, rank],
        [true, rank, 2, 'gloo'],
        ['sum 3 6', 'min 1 3', 'max 2 3', 'product 2 9'],
        [2, 4],
        [
          [0, 6],
          [2, 8],
          [4, 10],
        ],
        [60000, 60000],
        [1, 0],
        [[2], [1]],
        [1, 1],
        [
          [1, 3],
          [2, 4],
        ],
        [
          [0, 0],
          [1, 1],
        ],
        [0, 1],
        rank === 0 ? [0, 2] : [4, 6],
        rank === 0 ? [0, 1] : [2, 3],
        [
          { rank: 0, text: '' },
          { rank: 1, text: 'ä' },
        ],
        [1, { a: null }],
        [
          [0, 3],
          [0, 3],
        ],
        [true],
        [false, 'M3L_DISTRIBUTED_STATE'],
      ]);
    }
  });

  it("02 libtorch's functional collectives take the group by its name", async () => {
    const ranks = await runRanks(
      2,
      `
      const { name, rank } = distributed.initProcessGroup({ timeoutSeconds: 60 });
      const ops = torch.ops._c10d_functional;
      const reduced = ops.all_reduce(torch.ones([2]).mul(rank + 1), 'sum', name);
      say(ops.wait_tensor(reduced).toArray());
      const gathered = ops.all_gather_into_tensor(torch.tensor([rank]), 2, name);
      say(ops.wait_tensor(gathered).toArray());`,
    );
    for (const { said, stderr } of ranks) {
      expect(said, stderr).toEqual([
        [3, 3],
        [0, 1],
      ]);
    }
  });

  it('03 a worker thread has the group of its process', async () => {
    const ranks = await runRanks(
      2,
      `
      import { Worker } from 'node:worker_threads';
      distributed.initProcessGroup({ timeoutSeconds: 60 });
      const code = \`
        import { parentPort } from 'node:worker_threads';
        import { torch } from '${library}';
        const group = torch.distributed.processGroup();
        const tensor = torch.ones([3]);
        const work = group.allReduceAsync(tensor);
        await work.done;
        let code = '';
        try { torch.distributed.initProcessGroup({ rank: 0, worldSize: 1 }); } catch (error) { code = error.code; }
        parentPort.postMessage([tensor.toArray(), code]);\`;
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(code)));
      say(await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)));`,
    );
    for (const { said, stderr } of ranks) {
      expect(said, stderr).toEqual([[[2, 2, 2], 'M3L_DISTRIBUTED_STATE']]);
    }
  });

  it('04 meets again at the same place at once, whoever leaves last', async () => {
    const ranks = await runRanks(
      2,
      `
      const rank = Number(process.env.RANK);
      const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      const file = 'file:///tmp/m3l-again-' + process.env.MASTER_PORT;
      let right = 0;
      for (let i = 0; i < 24; i++) {
        const initMethod = i < 20 ? 'env://' : file;
        const group = distributed.initProcessGroup({ initMethod, timeoutSeconds: 60 });
        const tensor = torch.tensor([rank + i]);
        group.allReduce(tensor);
        if (tensor.item() === 2 * i + 1) right++;
        if (i % 8 === rank) await wait(200);
        distributed.destroyProcessGroup();
      }
      say(right);
      const left = distributed.initProcessGroup({ timeoutSeconds: 60 }).allReduceAsync(torch.ones([1]));
      distributed.destroyProcessGroup();
      const group = distributed.initProcessGroup({ timeoutSeconds: 60 });
      const work = group.allReduceAsync(torch.ones([1]));
      say(caught(() => left.wait()));
      work.wait();`,
    );
    for (const { said, status, stderr } of ranks) {
      expect(status, stderr).toBe(0);
      expect(said).toEqual([
        24,
        expect.stringMatching(/^M3L_DISTRIBUTED_STATE: .*was left before/),
      ]);
    }
  });
});
