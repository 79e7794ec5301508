/** What never became a request: answered on the bare connection. */

/** An error of Node's parser of HTTP. */
export interface ConnectionError extends Error {
  readonly code?: string;
}

const KNOWN: Readonly<Record<string, readonly [status: string, code: string, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [
    '408 Request Timeout',
    'M3L_HTTP_TIMEOUT',
    'the request took too long to arrive.',
  ],
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'M3L_HTTP_LARGE',
    'the headers are too large.',
  ],
};

/** The answer to it, as JSON of the same shape as all other errors. */
export function rawAnswer({ code = '' }: ConnectionError): string {
  const [status, name, message] = KNOWN[code] ?? [
    '400 Bad Request',
    'M3L_HTTP_BODY',
    'this is no request of HTTP.',
  ];
  const body = JSON.stringify({ error: { code: name, message } });
  return [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
