/** What arguments of this layer's functions must be; see torch/rules.ts. */
import * as is from '../torch/rules.js';

export const writeRoomsOptionsShape = is.shape('WriteRoomsOptions', {
  labelled: is.finite,
  unlabelled: is.finite,
  val: is.finite,
});
