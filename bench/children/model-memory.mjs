// node model-memory.mjs MODEL STEPS: prints the peak resident set of some supervised training steps above
// that before the network was made.
import { torch } from '../../dist/index.js';
import { createModelStep } from '../model-step.mjs';
import { resident } from '../status.mjs';

const [model, steps] = process.argv.slice(2).map((text) => JSON.parse(text));
torch.detached(() => torch.ones([1])).dispose();
const start = resident('VmRSS');
const stepper = createModelStep(model);
await stepper.step(steps);
console.log(JSON.stringify({ megabytes: resident('VmHWM') - start }));
