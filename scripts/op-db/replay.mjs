/** Replays the calls of one operator through the public API and says how they came out. */
import { torch } from '../../dist/index.js';
import { spellings } from './spelling.mjs';
import { decode, decodeArgument, difference, isDense, seed, tensorsIn } from './values.mjs';

/** Their values are whatever the memory held. */
const UNWRITTEN = /^(torch|Tensor)\.(new_)?empty(_|$)|\.resize_(as_)?$/;

/** `{ name, status, forms, detail }`; the status of an operator is that of its worst sample. */
export function replay({ name, reason, dtype, cases }) {
  if (reason !== undefined)
    return { name, status: 'left out', samples: 0, forms: [], detail: reason };
  const outcomes = cases.map((sample) => torch.scope(() => guarded(sample)));
  const order = ['wrong', 'refused', 'equal'];
  const worst = order.find((status) => outcomes.some((outcome) => outcome.status === status));
  const equal = outcomes.filter(({ status }) => status === 'equal');
  return {
    name,
    dtype,
    status: worst,
    samples: cases.length,
    equal: equal.length,
    gradients: equal.filter(({ gradients }) => gradients).length,
    forms: [...new Set(equal.map(({ form }) => form))],
    calls: equal.map(({ call }) => call),
    onDevice: outcomes.some((outcome) => outcome.onDevice),
    detail: outcomes.find(({ status }) => status === worst).detail,
  };
}

/** What cannot even be compared is wrong. */
function guarded(sample) {
  try {
    return replaySample(sample);
  } catch (error) {
    return {
      status: 'wrong',
      detail: `${sample.call}: ${error.code ?? error.name}: ${error.message}`,
    };
  }
}

function replaySample(sample) {
  const first = attempts(sample, false);
  if (first.status === 'equal' || !JSON.stringify(sample).includes('"float"')) return first;
  const said = attempts(sample, true);
  return said.status === 'equal' ? said : first;
}

/** The first form that gives the right result; where none does, the best of what was found. */
function attempts(sample, said) {
  const count = spellings(sample, ...argumentsOf(sample, said)).length;
  if (count === 0) return { status: 'refused', detail: `there is no ${sample.call}` };
  let outcome;
  for (let i = 0; i < count; i++) {
    const [args, named] = argumentsOf(sample, said);
    const found = attempt(sample, spellings(sample, args, named)[i], args, named);
    if (found.status === 'equal') return found;
    if (outcome?.status !== 'wrong') outcome = found;
  }
  return outcome;
}

function argumentsOf({ args, named }, said) {
  const options = Object.entries(named).map(([key, value]) => [key, decodeArgument(value, said)]);
  return [decodeArgument(args, said), Object.fromEntries(options)];
}

function attempt(sample, { name: form, run, text, other = false }, args, named) {
  const unequal = other ? 'refused' : 'wrong';
  const given = tensorsIn([args, named]);
  const leaves = given.filter(({ requiresGrad }) => requiresGrad);
  const device = given.find((tensor) => tensor.device !== 'cpu')?.device;
  const onDevice = device !== undefined;
  torch.manualSeed(42);
  const call = text();
  const generator = device && torch.getRngState(device);
  let results;
  try {
    results = run();
  } catch (error) {
    return {
      status: 'refused',
      form,
      onDevice,
      detail: `${form}: ${error.code ?? error.name}: ${error.message}`,
    };
  }
  // The generator of another device draws other numbers, and what follows from them differs.
  const drawn = onDevice && !torch.equal(torch.getRngState(device), generator);
  const unwritten = drawn || UNWRITTEN.test(sample.call);
  const fault =
    difference(results, decode(sample.results), unwritten) ?? fieldFault(results, sample.fields);
  if (fault !== null) return { status: unequal, form, onDevice, detail: `${form}: ${fault}` };
  if (!sample.grads || drawn) return { status: 'equal', form, onDevice, call, gradients: false };
  const gradientFault = gradientDifference(results, leaves, sample.grads);
  if (gradientFault === null) return { status: 'equal', form, onDevice, call, gradients: true };
  return { status: unequal, form, onDevice, detail: `${form}: gradients: ${gradientFault}` };
}

function fieldFault(results, fields = []) {
  const camel = fields.map((field) => field.replace(/_(\w)/g, (_, next) => next.toUpperCase()));
  const missing = camel.find((field, i) => results[field] !== results[i]);
  return missing === undefined ? null : `the results have no field '${missing}'`;
}

function gradientDifference(results, leaves, expected) {
  const roots = tensorsIn(results instanceof torch.Tensor ? results : [...results]).filter(
    (tensor) => tensor.requiresGrad && isDense(tensor),
  );
  try {
    const gradOutputs = roots.map(seed);
    const grads = torch.grad(roots, leaves, { gradOutputs, allowUnused: true });
    return difference(grads, decode(expected));
  } catch (error) {
    return `${error.code ?? error.name}: ${error.message}`;
  }
}
