import { createServer } from 'node:net';
import { torch } from 'm3l';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../../dist/cli/launch.js';
import { runRanks } from '../../helpers/ranks.js';

const { distributed } = torch;
const variables = ['RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT', 'LOCAL_RANK'];

afterEach(() => {
  for (const name of variables) delete process.env[name];
});

describe('torch.distributed, told wrongly', () => {
  it('01 names the variable that is missing or senseless', () => {
    const complete = { RANK: '0', WORLD_SIZE: '2', MASTER_ADDR: 'localhost', MASTER_PORT: '29500' };
    for (const name of Object.keys(complete)) {
      Object.assign(process.env, complete);
      delete process.env[name];
      expect(() => distributed.initProcessGroup()).toThrow(
        expect.objectContaining({
          code: 'M3L_DISTRIBUTED_ENVIRONMENT',
          message: expect.stringMatching(`has no ${name}: .*torchrun`),
        }),
      );
    }
    const wrong = { RANK: '2', WORLD_SIZE: '-1', MASTER_PORT: '70000' };
    for (const [name, value] of Object.entries(wrong)) {
      Object.assign(process.env, complete, { [name]: value });
      expect(() => distributed.initProcessGroup()).toThrow(name);
    }
    process.env.LOCAL_RANK = 'x';
    expect(() => distributed.localRank()).toThrow(/LOCAL_RANK=x/);
  });

  it('02 refuses options that cannot be', () => {
    const here = { rank: 0, worldSize: 1, timeoutSeconds: 5 };
    const init = (options: object) => () => distributed.initProcessGroup({ ...here, ...options });
    expect(init({ initMethod: 'tcp://localhost' })).toThrow(/expected env:\/\/, tcp:\/\/HOST:PORT/);
    expect(init({ initMethod: 'file:///no/such/folder/x' })).toThrow(/folder that exists/);
    expect(init({ backend: 'mpi' })).toThrow(/'gloo', 'nccl'/);
    expect(init({ timeoutSeconds: 0 })).toThrow(/a positive number/);
    expect(init({ rank: 1 })).toThrow(/from 0 to 0/);
    expect(init({ worldsize: 1 })).toThrow(/option 'worldsize'/);
    expect(() => distributed.processGroup()).toThrow(/initProcessGroup\(\) comes first/);
    distributed.destroyProcessGroup();
  });

  it.skipIf(torch.cuda.isAvailable())('03 says that NCCL needs CUDA', () => {
    const options = { backend: 'nccl', rank: 0, worldSize: 1 } as const;
    expect(() => distributed.initProcessGroup(options)).toThrow(
      expect.objectContaining({ code: 'M3L_DISTRIBUTED_BACKEND' }),
    );
  });

  it('04 says that the port is in use', async () => {
    const server = createServer().listen(0);
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const initMethod = `tcp://127.0.0.1:${port}` as const;
    const options = { initMethod, rank: 0, worldSize: 2, timeoutSeconds: 5 };
    expect(() => distributed.initProcessGroup(options)).toThrow(
      expect.objectContaining({
        code: 'M3L_DISTRIBUTED_STORE',
        message: expect.stringMatching(`port ${port} .*in use`),
      }),
    );
    server.close();
  });

  it('05 names the ranks that do not come, and the store that is not there', async () => {
    const initMethod = `tcp://127.0.0.1:${await freePort()}` as const;
    const options = { initMethod, worldSize: 3, timeoutSeconds: 1 };
    expect(() => distributed.initProcessGroup({ ...options, rank: 0 })).toThrow(
      /ranks 1, 2 of 3 did not come .* within 1 s/,
    );
    expect(() => distributed.initProcessGroup({ ...options, rank: 1 })).toThrow(
      /rank 1 found no store at 127\.0\.0\.1:\d+ within 1 s/,
    );
    expect(distributed.isInitialized()).toBe(false);
  });

  it('06 in ranks that differ is an error in each', async () => {
    const program = `say(caught(() => distributed.initProcessGroup({ timeoutSeconds: 30 })));`;
    const sizes = await runRanks(2, program, (rank) => ({ WORLD_SIZE: String(2 + rank) }));
    for (const { said } of sizes) {
      expect(said[0]).toMatch(/^M3L_DISTRIBUTED_MISMATCH: rank \d has .*\d ranks.*started alike/);
    }
    const other = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      if (process.env.RANK === '1') {
        const read = fs.readFileSync;
        fs.readFileSync = (file, ...more) =>
          String(file).endsWith('package.json') ? '{"name":"m3l","version":"0.0.1"}' : read(file, ...more);
        syncBuiltinESMExports();
      }
      ${program}`;
    for (const { said, stderr } of await runRanks(2, other)) {
      expect(said[0], stderr).toMatch(/^M3L_DISTRIBUTED_MISMATCH: .*m3l 0\.0\.1, .*started alike/);
    }
    const same = await runRanks(3, program, (rank) => ({ RANK: rank === 0 ? '0' : '1' }));
    for (const { said } of same.slice(0, 1)) {
      expect(said[0]).toMatch(/^M3L_DISTRIBUTED_MISMATCH: another process has come as rank 1/);
    }
  });
});

describe('a collective that ranks do not agree on', () => {
  it('01 is an error in all of them, and the next one works', async () => {
    const ranks = await runRanks(
      2,
      `
      const group = distributed.initProcessGroup({ timeoutSeconds: 60 });
      const { rank } = group;
      say(caught(() => group.allReduce(torch.ones([2, 2 + rank]))));
      say(caught(() => group.allReduce(torch.ones([2]).to(rank === 0 ? 'float32' : 'float64'))));
      say(caught(() => group.allReduce(torch.ones([2]), rank === 0 ? 'sum' : 'max')));
      say(caught(() => (rank === 0 ? group.barrier() : group.allGather(torch.ones([2])))));
      say(caught(() => group.broadcast(torch.ones([1]), rank)));
      say(caught(() => group.broadcast(torch.ones([1]), 2)));
      say(caught(() => group.allReduce(torch.ones([1], { dtype: 'int64' }), 'mean')));
      say(caught(() => group.allReduce(torch.ones([2]).toSparse())));
      say(caught(() => group.allGatherObject(undefined)));
      say(caught(() => group.reduceScatter(torch.ones([3]))));
      const after = torch.ones([2]);
      group.allReduce(after);
      say(after.toArray());`,
    );
    for (const { said, stderr } of ranks) {
      expect(stderr).toBe('');
      expect(said).toEqual([
        expect.stringMatching(
          /^M3L_DISTRIBUTED_MISMATCH: rank 0 calls allReduce of float32 \[2, 2\] to the sum, rank 1 allReduce of float32 \[2, 3\]/,
        ),
        expect.stringMatching(/float32 \[2\] .* float64 \[2\]/),
        expect.stringMatching(/to the sum, rank 1 .* to the max/),
        expect.stringMatching(/rank 0 calls barrier, rank 1 allGather of float32 \[2\]/),
        expect.stringMatching(/from rank 0, rank 1 .* from rank 1/),
        expect.stringMatching(/^M3L_ARGUMENT: broadcast: found the source 2, expected a rank of 2/),
        expect.stringMatching(/^M3L_ARGUMENT: allReduce: found int64 for the operation 'mean'/),
        expect.stringMatching(/^M3L_ARGUMENT: allReduce: found a tensor that is sparse/),
        expect.stringMatching(/^M3L_ARGUMENT: .*JSON/),
        expect.stringMatching(/^M3L_ARGUMENT: .*multiple of the 2 ranks/),
        [2, 2],
      ]);
    }
  });
});

describe('a rank that is lost', () => {
  const program = (timeoutSeconds: number, lose: string) => `
    const group = distributed.initProcessGroup({ timeoutSeconds: ${timeoutSeconds} });
    const tensor = torch.ones([1_000_000]);
    const processes = group.allGatherObject(process.pid);
    if (group.rank === group.worldSize - 1) { ${lose} }
    say(caught(() => { for (;;) group.allReduce(tensor, 'mean'); }));
    say(caught(() => group.barrier()));
    if (group.rank === 0) try { process.kill(processes.at(-1), 'SIGKILL'); } catch {}`;

  it('01 in an all-reduce is named by the others, its neighbours or not', async () => {
    const ranks = await runRanks(4, program(60, "process.kill(process.pid, 'SIGKILL');"));
    expect(ranks.at(-1)!.signal).toBe('SIGKILL');
    expect(ranks.some(({ said }) => String(said[0]).includes('rank 3 has ended'))).toBe(true);
    for (const { said, status, stderr } of ranks.slice(0, -1)) {
      expect(status, stderr).toBe(0);
      // The first to notice may end before another asks the store, which it holds, who it was.
      expect(said[0]).toMatch(
        /^M3L_DISTRIBUTED_PEER: allReduce of rank \d failed: (rank 3 has ended|the store does not answer)/,
      );
      expect(said[1]).toMatch(/^M3L_DISTRIBUTED_PEER: the process group is of no use/);
    }
  });

  it('02 that does not come is waited for no longer than told', async () => {
    const [first] = await runRanks(
      2,
      program(10, 'await new Promise((resolve) => setTimeout(resolve, 60_000));'),
    );
    expect(first!.said[0]).toMatch(
      /^M3L_DISTRIBUTED_TIMEOUT: allReduce of rank 0 failed: rank 1 has ended, or did not come .*10 s/,
    );
  });

  it('03 with the store is told of it', async () => {
    const ranks = await runRanks(
      2,
      `
      const group = distributed.initProcessGroup({ timeoutSeconds: 60 });
      group.barrier();
      if (group.rank === 0) process.kill(process.pid, 'SIGKILL');
      say(caught(() => group.allReduce(torch.ones([4]))));`,
    );
    expect(ranks[1]!.said[0]).toMatch(/^M3L_DISTRIBUTED_PEER: .*holds it \(rank 0, /);
  });

  it('04 leaves no process behind that ends without waiting', async () => {
    const ranks = await runRanks(
      2,
      `
      const group = distributed.initProcessGroup({ timeoutSeconds: 100, checkCollectives: false });
      group.barrier();
      if (group.rank === 0) {
        const work = group.allReduceAsync(torch.ones([1_000_000]));
        say(work.isDone());
      } else {
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }`,
    );
    expect(ranks.map(({ status }) => status)).toEqual([0, 0]);
    expect(ranks[0]!.said).toEqual([false]);
  });
});
