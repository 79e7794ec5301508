import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { core } from '../../dist/torch/native.js';

const cuda = torch.cuda.isAvailable();
const root = fileURLToPath(new URL('../../', import.meta.url));
const library = new URL('../../dist/torch/index.js', import.meta.url).href;

function codeOf(fn: () => unknown): string {
  try {
    fn();
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
  return 'nothing was thrown';
}

/**
 * A module in a process of its own, in which `limit()` leaves addresses for three tenths of the machine's memory more
 * than it has by then; the JSON that it prints. What reserves addresses only, and is not written, takes no memory.
 */
function child(source: string) {
  const script = `
    import { spawnSync } from 'node:child_process';
    import { readFileSync } from 'node:fs';
    import { totalmem } from 'node:os';
    import * as torch from ${JSON.stringify(library)};
    const size = Math.floor(0.6 * totalmem());
    function limit() {
      torch.ones([1]);
      const [, used] = /VmSize:\\s*(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
      const most = Number(used) * 1024 + Math.floor(0.3 * totalmem());
      spawnSync('prlimit', ['--pid', String(process.pid), '--as=' + most]);
    }
    ${source}`;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', script],
    { encoding: 'utf8', cwd: root },
  );
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
}

describe('streams and events, by the interface that every device has', () => {
  it('01 the CPU has one stream, which is always done', async () => {
    const [current, made] = [core.currentStream('cpu'), core.newStream('cpu', 0)];
    expect([current, made]).toEqual([0, 0]);
    expect(core.exchangeStream('cpu', made)).toBe(current);
    expect(core.queryStream('cpu', 0)).toBe(true);
    core.synchronizeStream('cpu', 0);
    await core.synchronizeStreamAsync('cpu', 0);
  });

  it('02 a tensor is recorded on a stream of its own kind of device alone', () =>
    torch.scope(() => {
      core.recordStream(torch.ones([3]).handle, 'cpu', 0);
      const meta = torch.ones([3], { device: 'meta' });
      expect(() => core.recordStream(meta.handle, 'cpu', 0)).toThrow(
        /is on 'meta'.*stream's, 'cpu'/,
      );
    }));

  it('03 an event that nobody recorded is done, and what the device refuses is an error', async () => {
    const event = core.newEvent('cpu', true);
    expect(core.queryEvent(event)).toBe(true);
    core.synchronizeEvent(event);
    await core.synchronizeEventAsync(event);
    core.waitEvent(event, 'cpu', 0);
    expect(() => core.recordEvent(event, 'cpu', 0)).toThrow(/doesn't support events/);
    expect(() => core.elapsedTime(event, core.newEvent('cpu', true))).toThrow(/must be recorded/);
    expect(() => core.queryEvent({})).toThrow(/expected an event/);
  });

  it('04 priorities have bounds', () => {
    for (const priority of [1, -9]) {
      expect(() => core.newStream('cpu', priority)).toThrow(/from -8 to 0/);
    }
  });
});

describe.skipIf(cuda)('without a CUDA device', () => {
  it('11 everything of one says so by its code, and emptyCache does nothing', () => {
    const { Event, Stream } = torch.cuda;
    expect([torch.cuda.deviceCount(), torch.cuda.emptyCache()]).toEqual([0, undefined]);
    for (const call of [
      () => new Stream(),
      () => new Event(),
      () => torch.cuda.currentStream(),
      () => torch.cuda.defaultStream(),
      () => torch.cuda.currentDevice(),
      () => torch.cuda.setDevice(0),
      () => torch.cuda.withDevice('cuda:1', () => 1),
      () => torch.cuda.synchronize(),
      () => torch.cuda.memory(),
      () => torch.cuda.memoryStats('cuda:0'),
      () => torch.cuda.resetPeakMemoryStats(),
      () => torch.cuda.deviceProperties(),
      () => torch.zeros([2], { device: 'cuda' }),
      () => torch.getRngState('cuda:3'),
      () => new torch.Generator('cuda'),
    ]) {
      expect(codeOf(call), String(call)).toBe('M3L_NO_CUDA');
    }
  });

  it('12 also asynchronously', async () => {
    await expect(torch.cuda.synchronizeAsync()).rejects.toMatchObject({ code: 'M3L_NO_CUDA' });
  });
});

describe('arguments', () => {
  it('21 a device is a name or an index', () => {
    for (const device of ['cpu', 'gpu', 'cuda:', -1, 1.5, 1000, null]) {
      expect(
        codeOf(() => torch.cuda.memory(device as never)),
        String(device),
      ).toBe('M3L_ARGUMENT');
    }
    expect(codeOf(() => torch.cuda.withStream({} as never, () => 1))).toBe('M3L_ARGUMENT');
  });
});

describe('where memory is wanting', () => {
  it('31 what was dropped is released and the call made once more, asynchronous ones too', () => {
    // Two of this size have no room, and when the second is asked for no collection has found the first.
    const { made } = child(`
      const made = [];
      const drop = () => { made.push(torch.empty([size], { dtype: 'uint8' }).numel() === size); };
      const dropAsync = async () => {
        const { memory_format } = torch.ops.aten.empty;
        const tensor = await memory_format.async([size], { dtype: 'uint8' });
        made.push(tensor.numel() === size);
      };
      limit();
      drop();
      drop();
      await dropAsync();
      await dropAsync();
      console.log(JSON.stringify({ made }));
    `);
    expect(made).toEqual([true, true, true, true]);
  });

  it('33 what is held is not: the error comes, and the process goes on', () => {
    const { code, message, sum } = child(`
      limit();
      const held = torch.empty([size], { dtype: 'uint8' });
      let error;
      try { torch.empty([size], { dtype: 'uint8' }); } catch (found) { error = found; }
      const sum = held.narrow(0, 0, 4).fill_(1).sum().item();
      console.log(JSON.stringify({ code: error?.code, message: error?.message, sum }));
    `);
    expect([code, sum]).toEqual(['M3L_OUT_OF_MEMORY', 4]);
    expect(message).toMatch(/tried to allocate \d+ bytes.*in use: cpu \d+\.\d\d GB/);
  });

  it('32 the error names the size that was asked for and what is in use', () => {
    const kept = torch.detached(() => torch.ones([2 ** 20]));
    expect(() => torch.empty([2 ** 48])).toThrow(
      /1125899906842624 bytes.*in use: cpu \d+\.\d\d GB/,
    );
    kept.dispose();
  });
});

describe.skipIf(!cuda)('on a CUDA device', () => {
  it('41 work on another stream is ordered by events, and timed', async () => {
    const { currentStream, Event, Stream, withStream } = torch.cuda;
    const side = new Stream();
    const [start, end] = [0, 1].map(() => new Event({ enableTiming: true })) as [
      InstanceType<typeof Event>,
      InstanceType<typeof Event>,
    ];
    const x = torch.detached(() => torch.ones([1 << 20], { device: 'cuda' }));
    side.waitStream(currentStream());
    const y = torch.detached(() =>
      withStream(side, () => {
        expect(currentStream().id).toBe(side.id);
        start.record();
        const sum = x.add(1).mul(2).sum();
        end.record();
        return sum;
      }),
    );
    side.recordTensor(x);
    x.dispose();
    currentStream().waitStream(side);
    expect(y.item()).toBe(4 * (1 << 20));
    await end.synchronizeAsync();
    expect(start.elapsedTime(end)).toBeGreaterThan(0);
    expect(currentStream().id).not.toBe(side.id);
    y.dispose();
  });

  it('42 an asynchronous call works on the stream of its caller', async () => {
    const side = new torch.cuda.Stream();
    const x = torch.detached(() => torch.ones([1 << 20], { device: 'cuda' }));
    torch.cuda.synchronize();
    const under = torch.cuda.withStream(side, () => ({ sum: torch.ops.aten.sum!.async!(x) }));
    const sum = (await under.sum) as torch.Tensor;
    await side.synchronizeAsync();
    expect(sum.item()).toBe(1 << 20);
    torch.dispose([x, sum]);
  });

  it('43 page-locked memory: copies both ways that nobody waits for', () =>
    torch.scope(() => {
      const host = torch.rand([1 << 22]).pinMemory();
      expect([host.isPinned(), torch.rand([4]).isPinned()]).toEqual([true, false]);
      const expected = host.toTypedArray();
      const there = host.to('cuda', { nonBlocking: true });
      host.dispose();
      const back = there.to('cpu', { nonBlocking: true });
      expect(back.toTypedArray()).toEqual(expected);
    }));

  it('44 memory is counted, with its peak', () => {
    torch.cuda.resetPeakMemoryStats();
    const before = torch.cuda.memory();
    torch.ones([1 << 22], { device: 'cuda' }).dispose();
    const { peak, allocated, reserved, free, total } = torch.cuda.memory();
    expect(peak - before.allocated).toBeGreaterThanOrEqual(1 << 24);
    expect([allocated, reserved >= peak, free < total]).toEqual([before.allocated, true, true]);
    expect(torch.cuda.memoryStats()['allocations.allocated']).toBeGreaterThan(0);
  });

  it('45 what a device has not the memory for is an error with sizes, and the next call works', () => {
    const { total } = torch.cuda.memory();
    expect(() => torch.empty([2 * total], { dtype: 'uint8', device: 'cuda' })).toThrow(
      /out of memory.*in use: cpu .* cuda:0 /,
    );
    torch.scope(() => expect(torch.ones([8], { device: 'cuda' }).sum().item()).toBe(8));
  });

  it('46 names the devices that are there where one is not', () => {
    expect(() => torch.zeros([1], { device: 'cuda:63' })).toThrow(/'cuda:63' is not there.*cuda:0/);
    expect(torch.cuda.withDevice(0, () => torch.cuda.currentDevice())).toBe(0);
    expect(torch.cuda.deviceProperties().multiprocessors).toBeGreaterThan(0);
  });
});
