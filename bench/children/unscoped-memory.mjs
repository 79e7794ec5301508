// Prints how far the resident set rises above its start while 2,000 temporaries of 1 MiB are made
// in a synchronous loop and none is disposed.
import { torch } from '../../dist/index.js';
import { resident } from '../status.mjs';

const COUNT = 2_000;
const ELEMENTS = 2 ** 18;

const ones = torch.detached(() => torch.ones([ELEMENTS]));
torch.add(ones, ones).dispose();
const start = resident('VmRSS');
for (let i = 0; i < COUNT; i++) torch.add(ones, ones);
// VmHWM is the peak of the whole process; what loading took beyond `start` counts against us.
console.log(JSON.stringify({ megabytes: resident('VmHWM') - start, left: torch.memory().tensors }));
