import { M3lError } from '../torch/errors.js';

/** A request that is answered with an HTTP status other than 200, as JSON. */
export class HttpError extends M3lError {
  constructor(
    readonly status: number,
    code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(code, message, options);
  }
}

/** A server that cannot listen where it was asked to. */
export class ListenError extends M3lError {}
