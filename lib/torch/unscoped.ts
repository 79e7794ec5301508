/**
 * Tensors outside any scope. A native weak reference tells the core when a tensor's object is gone,
 * and costs as much as a small operator does. So small tensors share one: sixteen in a row hold the
 * same page, which dies with the last of them. A large one always has a reference of its own.
 */
import { core, type Handle } from './native.js';

/**
 * What every tensor holds: cloning stops at a function and tells its text, where structuredClone and
 * postMessage would make an object without values.
 */
export const noClone = () => 'a Tensor is not cloned or posted: send x.toTypedArray() instead';

const PAGE = 16;

/** 1 where the last operator made a large tensor; its small ones then go without a page too. */
const large = new Uint32Array(1);
const handles = new Float64Array(PAGE);
let page: object = { noClone };
let count = 0;
let shared = false;

/** What a tensor just made outside any scope has to hold; null: track it by itself. */
export function pageFor(handle: Handle): object | null {
  if (!shared) {
    core.shareLarge(large);
    shared = true;
    return null;
  }
  if (large[0] !== 0) return null;
  const own = page;
  handles[count++] = handle;
  if (count === PAGE) closePage();
  return own;
}

/** Hands the page begun to the core, so that a sweep sees it. */
export function closePage(): void {
  if (count === 0) return;
  core.trackPage(page, handles, count);
  page = { noClone };
  count = 0;
}
