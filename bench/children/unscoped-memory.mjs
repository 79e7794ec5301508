// Prints how far the resident set rises above its start while 2,000 temporaries of 1 MiB are made
// in a synchronous loop and none is disposed.
import { readFileSync } from 'node:fs';
import { torch } from '../../dist/index.js';

const COUNT = 2_000;
const ELEMENTS = 2 ** 18;

/** A figure of /proc/self/status in MB. */
function status(name) {
  const text = readFileSync('/proc/self/status', 'utf8');
  return (Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(text)[1]) * 1024) / 1e6;
}

const ones = torch.detached(() => torch.ones([ELEMENTS]));
torch.add(ones, ones).dispose();
const start = status('VmRSS');
for (let i = 0; i < COUNT; i++) torch.add(ones, ones);
// VmHWM is the peak of the whole process; what loading took beyond `start` counts against us.
console.log(JSON.stringify({ megabytes: status('VmHWM') - start, left: torch.memory().tensors }));
