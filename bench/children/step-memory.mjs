// node step-memory.mjs SETTINGS STEPS [THREADS]: prints the peak resident set of some training steps
// above that before the networks were made, and the median time
// of a step but the first.
import { torch } from '../../dist/index.js';
import { resident } from '../status.mjs';
import { createStepper, makeBatch } from '../step.mjs';

const [settings, steps, threads] = process.argv.slice(2).map((text) => JSON.parse(text));
if (threads !== undefined) torch.setNumThreads(threads);
torch.manualSeed(1);
torch.detached(() => torch.ones([1])).dispose();
const start = resident('VmRSS');
const batch = torch.detached(() => makeBatch(settings));
const stepper = createStepper(batch, settings);
await stepper.step(1);
const { ms } = await stepper.step(steps);
console.log(JSON.stringify({ megabytes: resident('VmHWM') - start, ms }));
