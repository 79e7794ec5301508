/** What arguments of this layer's functions must be; see torch/rules.ts. */
import * as is from '../torch/rules.js';

export const workerModelShape = is.shape('WorkerModel', {
  forward: is.callback,
  call: is.callback,
});
