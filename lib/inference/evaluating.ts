import { evaluating } from '../nn/evaluating.js';
import type * as nn from '../nn/index.js';

/** What `compute` gives while the module is in evaluation mode; each part's mode is then as before. */
export function whileEvaluating<T>(module: nn.Module, compute: () => T): T {
  const restore = evaluating([module]);
  try {
    return compute();
  } finally {
    restore();
  }
}
