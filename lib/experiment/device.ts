/** Where a run computes. */
import * as torch from '../torch/index.js';
import { RunError } from './errors.js';

/** A device, and a sentence on why it is that one. */
export interface PlacedOn {
  device: string;
  why: string;
}

/** How the configuration's device came to be. */
export interface DeviceOptions {
  /** Whether whoever asks named the device now; otherwise a trained run's is where it was trained (true). */
  asked?: boolean;
}

/**
 * The device that `device` stands for here: of `auto` the first CUDA device where there is one, else the
 * CPU. A trained run that is opened on a machine without its device computes on the CPU.
 *
 * @throws RunError M3L_NO_CUDA, M3L_DEVICE where a device is asked for that is not there
 */
export function placeOn(device: string, { asked = true }: DeviceOptions = {}): PlacedOn {
  if (device === 'cpu') return { device, why: 'Computes on cpu, as device says.' };
  const count = torch.cuda.deviceCount();
  const none = `libtorch ${torch.version()} sees no CUDA device`;
  if (device === 'auto') {
    return count === 0
      ? { device: 'cpu', why: `Computes on cpu: device is auto, and ${none}.` }
      : { device: 'cuda:0', why: `Computes on ${described('cuda:0')}: device is auto.` };
  }
  const index = Number(device.split(':')[1] ?? 0);
  if (index < count) return { device, why: `Computes on ${described(device)}, as device says.` };
  const there = Array.from({ length: count }, (_, i) => `cuda:${i}`).join(', ');
  const missing = count === 0 ? none : `this machine has ${there}`;
  if (!asked) {
    return { device: 'cpu', why: `Computes on cpu: trained on ${device}, and ${missing}.` };
  }
  throw new RunError(
    count === 0 ? 'M3L_NO_CUDA' : 'M3L_DEVICE',
    `device is '${device}', but ${missing}. Use --set device=auto or device=cpu` +
      `${count === 0 ? ", or see 'm3l doctor'" : ''}.`,
  );
}

/** Whether one of the overrides names the device. */
export function asksForDevice(sets: readonly string[] = []): boolean {
  return sets.some((set) => /^\s*device\s*=/.test(set));
}

function described(device: string): string {
  const { name, totalMemory } = torch.cuda.deviceProperties(device);
  return `${device} (${name}, ${(totalMemory / 1e9).toFixed(0)} GB)`;
}
