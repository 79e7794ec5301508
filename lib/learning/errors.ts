import { M3lError } from '../torch/index.js';

/** What goes wrong while learning: missing inputs, a loss that is not finite, a foreign state. */
export class LearningError extends M3lError {}
