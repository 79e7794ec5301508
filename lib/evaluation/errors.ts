import { M3lError } from '../torch/index.js';

/** What goes wrong while evaluating: labels out of range, nothing to evaluate, a foreign case. */
export class EvaluationError extends M3lError {}
