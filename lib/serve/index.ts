/** A trained model behind HTTP. */
export { HttpError } from '../http/errors.js';
export { ServeError } from './errors.js';
export type { ServeOptions } from './options.js';
export { OUTPUTS, type Output } from './schemas.js';
export { type Server, serve } from './serve.js';
