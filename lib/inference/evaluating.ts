import type * as nn from '../nn/index.js';

/** What `compute` gives while the module is in evaluation mode; each part's mode is then as before. */
export function evaluating<T>(module: nn.Module, compute: () => T): T {
  const training = module.modules().filter((each) => each.training);
  for (const each of training) each.training = false;
  try {
    return compute();
  } finally {
    for (const each of training) each.training = true;
  }
}
