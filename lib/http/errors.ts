import { M3lError } from '../torch/errors.js';

/**
 * A request that is answered with an HTTP status other than 200, as JSON. Codes of `m3l/serve`:
 * M3L_HTTP_NOT_FOUND, M3L_HTTP_HOST, M3L_HTTP_ORIGIN, M3L_HTTP_KEY, M3L_HTTP_QUERY, M3L_HTTP_ACCEPT,
 * M3L_HTTP_BODY, M3L_HTTP_LARGE, M3L_HTTP_BUSY, M3L_HTTP_TIMEOUT, M3L_HTTP_CLOSING, M3L_HTTP_FAULT.
 */
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
