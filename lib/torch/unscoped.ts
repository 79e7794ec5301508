/**
 * Tensors outside any scope. A native weak reference tells the core when a tensor's object is gone,
 * and costs as much as a small operator does. So tensors that keep little share one: sixteen in a row
 * hold the same page, which dies with the last of them. The core tells by the handle, which of one that
 * keeps much, large values or a graph, is negative; that one has a reference of its own.
 */
import { core, type Handle } from './native.js';

/**
 * What every tensor holds: cloning stops at a function and tells its text, where structuredClone and
 * postMessage would make an object without values.
 */
export const noClone = () => 'a Tensor is not cloned or posted: send x.toTypedArray() instead';

const PAGE = 16;

const handles = new Float64Array(PAGE);
let page: object = { noClone };
let count = 0;

/** After V8 has collected, what it found gone is released, also where nothing is allocated any more. */
const collected = new FinalizationRegistry<null>(() => {
  watch();
  core.sweep();
});
let watching = false;

function watch(): void {
  watching = true;
  collected.register({}, null);
}

/** What a tensor that keeps little, just made outside any scope, has to hold. */
export function pageFor(handle: Handle): object {
  if (!watching) watch();
  const own = page;
  handles[count++] = handle;
  if (count === PAGE) closePage();
  return own;
}

/** Ties a tensor that keeps much to the object that holds it. */
export function trackAlone(owner: object, handle: Handle): void {
  if (!watching) watch();
  core.track(owner, handle);
}

/** Hands the page begun to the core, so that a sweep sees it. */
export function closePage(): void {
  if (count === 0) return;
  core.trackPage(page, handles, count);
  page = { noClone };
  count = 0;
}
