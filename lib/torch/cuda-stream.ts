/** Lines of work that a CUDA device does beside one another, and the marks that order them. */
import { ensureSynchronous } from './autograd.js';
import { checkArguments } from './check-arguments.js';
import { deviceName, deviceRule } from './cuda-device.js';
import { ArgumentError, describe, M3lError } from './errors.js';
import { core, type NativeEvent, type StreamNumber } from './native.js';
import { withDefaults } from './require.js';
import { callback, flag, instance } from './rules.js';
import { handleOf, type Tensor } from './tensor.js';

/** Options of a stream. */
export interface StreamOptions {
  /** Below 0 the device prefers its work: 0, -1, … as far as it has levels. */
  priority?: number;
}

/**
 * Work that a device does in its order, beside that of other streams, as `torch.cuda.Stream` of PyTorch.
 * Operators ask the current stream of their thread: `withStream` makes it this one. libtorch has 32 a
 * device and priority, and lends them again: two objects may be the same stream.
 *
 * Between streams nothing is ordered but by events. A tensor's memory is lent again in the order of the
 * stream that it was made on: where another one reads or writes it, `recordStream` keeps it until that
 * one is done.
 */
export class Stream {
  /** `cuda:0`, … */
  readonly device: string;
  /** What libtorch knows it by, on its device; 0 is the default stream. */
  readonly id: StreamNumber;

  /**
   * @param known internal: the id of a stream that is there
   * @throws M3lError M3L_NO_CUDA; M3L_DEVICE naming the devices that are there
   */
  constructor(device: string | number = 'cuda', options: StreamOptions = {}, known?: StreamNumber) {
    checkArguments('cuda.Stream', { device }, { device: deviceRule });
    const { priority } = withDefaults('cuda.Stream', { priority: 0 }, options);
    this.device = `cuda:${core.currentDevice(deviceName(device))}`;
    this.id = known ?? core.newStream(this.device, priority);
  }

  /** True where all that was asked of it is done. */
  query(): boolean {
    return core.queryStream(this.device, this.id);
  }

  /** Waits until all that was asked of it is done; the event loop waits too. */
  synchronize(): void {
    core.synchronizeStream(this.device, this.id);
  }

  /** As `synchronize`, on another thread: the event loop goes on. */
  async synchronizeAsync(): Promise<void> {
    await core.synchronizeStreamAsync(this.device, this.id);
  }

  /** What is asked of it from now on comes after the event. */
  waitEvent(event: Event): void {
    checkArguments('Stream.waitEvent', { event }, { event: instance(Event) });
    event.wait(this);
  }

  /** What is asked of it from now on comes after all that was asked of another one. */
  waitStream(other: Stream): void {
    checkArguments('Stream.waitStream', { other }, { other: instance(Stream) });
    other.recordEvent().wait(this);
  }

  /** Marks where it is now, by a new event or the one that is given. */
  recordEvent(event: Event = new Event()): Event {
    checkArguments('Stream.recordEvent', { event }, { event: instance(Event) });
    event.record(this);
    return event;
  }

  /**
   * Keeps a tensor's memory from being lent again, after the tensor's end, before this stream has done what
   * was asked of it until then: PyTorch's `Tensor.record_stream`. For a tensor that was made on another
   * stream.
   * @throws M3lError M3L_DEVICE where the tensor is on no CUDA device
   */
  recordTensor(tensor: Tensor): void {
    core.recordStream(handleOf(tensor, 'Stream.recordTensor', 'tensor'), this.device, this.id);
  }
}

/** Options of an event. */
export interface EventOptions {
  /** Whether `elapsedTime` will be asked of it (false). */
  enableTiming?: boolean;
}

/** A mark in a stream, to wait for and to take the time between, as `torch.cuda.Event` of PyTorch. */
export class Event {
  readonly #event: NativeEvent;
  readonly #timing: boolean;
  #recorded = false;

  /** @throws M3lError M3L_NO_CUDA */
  constructor(options: EventOptions = {}) {
    const { enableTiming } = withDefaults('cuda.Event', { enableTiming: false }, options);
    checkArguments('cuda.Event', { enableTiming }, { enableTiming: flag });
    this.#event = core.newEvent('cuda', enableTiming);
    this.#timing = enableTiming;
  }

  /** Marks where a stream is now; again: a later place, on the same device. */
  record(stream: Stream = currentStream()): void {
    checkArguments('Event.record', { stream }, { stream: instance(Stream) });
    core.recordEvent(this.#event, stream.device, stream.id);
    this.#recorded = true;
  }

  /** What is asked of a stream from now on comes after the mark; does nothing where none was made. */
  wait(stream: Stream = currentStream()): void {
    checkArguments('Event.wait', { stream }, { stream: instance(Stream) });
    core.waitEvent(this.#event, stream.device, stream.id);
  }

  /** True where the device has come to the mark, or none was made. */
  query(): boolean {
    return core.queryEvent(this.#event);
  }

  /** Waits until the device has come to the mark; the event loop waits too. */
  synchronize(): void {
    core.synchronizeEvent(this.#event);
  }

  /** As `synchronize`, on another thread: the event loop goes on. */
  async synchronizeAsync(): Promise<void> {
    await core.synchronizeEventAsync(this.#event);
  }

  /**
   * Milliseconds on the device from this mark to a later one.
   * @throws M3lError M3L_EVENT where one has no time, was not recorded, or has not been come to
   */
  elapsedTime(end: Event): number {
    if (!(end instanceof Event)) {
      throw new ArgumentError(`Event.elapsedTime: found ${describe(end)}, expected an Event`);
    }
    for (const [name, event] of Object.entries({ start: this as Event, end })) {
      const fault = !event.#timing
        ? 'was made without enableTiming: expected new torch.cuda.Event({ enableTiming: true })'
        : !event.#recorded
          ? 'was not recorded: call record() first'
          : !event.query()
            ? 'has not been come to yet: await synchronizeAsync() first'
            : null;
      if (fault !== null)
        throw new M3lError('M3L_EVENT', `Event.elapsedTime: the ${name} ${fault}`);
    }
    return core.elapsedTime(this.#event, end.#event);
  }
}

/**
 * The stream of this thread that operators on the device ask.
 * @throws M3lError M3L_NO_CUDA; M3L_DEVICE naming the devices that are there
 */
export function currentStream(device: string | number = 'cuda'): Stream {
  checkArguments('cuda.currentStream', { device }, { device: deviceRule });
  const name = `cuda:${core.currentDevice(deviceName(device))}`;
  return new Stream(name, {}, core.currentStream(name));
}

/** The stream that is current on every thread until another is made so. */
export function defaultStream(device: string | number = 'cuda'): Stream {
  return new Stream(device, {}, 0);
}

/**
 * Runs synchronous `fn` with a stream as the current one, and its device as the current device. Tensors made
 * inside belong to that stream: have another one wait for it before it reads them (`waitStream`), and where
 * they end before that one is done, record them there (`recordTensor`).
 */
export function withStream<T>(stream: Stream, fn: () => T): T {
  checkArguments('cuda.withStream', { stream, fn }, { stream: instance(Stream), fn: callback });
  const device = core.exchangeDevice(stream.device);
  const outer = core.exchangeStream(stream.device, stream.id);
  try {
    return ensureSynchronous(fn(), 'cuda.withStream');
  } finally {
    core.exchangeStream(stream.device, outer);
    core.exchangeDevice(`cuda:${device}`);
  }
}
