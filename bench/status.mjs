import { readFileSync } from 'node:fs';

/** A figure of /proc/self/status (`VmRSS`, `VmHWM`) in MB. */
export function resident(name) {
  const text = readFileSync('/proc/self/status', 'utf8');
  return (Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(text)[1]) * 1024) / 1e6;
}
