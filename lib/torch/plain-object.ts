/** Whether `value` is an object as `{ … }` makes it, in whichever realm (a vm context, a frame). */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
