import { core, type OperatorTime } from './native.js';
import { requireObject } from './require.js';

/**
 * Begins to measure which operators the time goes into, and gives the function that ends it: one row a
 * name, the most expensive first. Counts the operators of all threads, those that others call, and the
 * backward's (`…Backward0`, and the operators inside). A second or two of work is enough; each call
 * costs about a microsecond more meanwhile. On a CUDA device the times are those of the launches.
 *
 * ```ts
 * const end = torch.profile();
 * await trainer.step();
 * console.table(end().slice(0, 10));
 * ```
 *
 * @param options.sizes a row for each name and sizes of the tensor arguments
 * @throws M3lError M3L_PROFILE where one runs already in this process, or where this one has ended
 */
export function profile(options: { sizes?: boolean } = {}): () => OperatorTime[] {
  requireObject(options, 'profile', 'options, such as { sizes: true }');
  const { sizes = false } = options;
  core.startProfile(sizes);
  return () => core.stopProfile().sort((a, b) => b.selfMs - a.selfMs);
}
