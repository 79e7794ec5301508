import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import { errorAnswer } from './server.js';

/** What is written to a client that listens for events. */
export interface EventStream {
  /** Aborted as the client, or the server, goes. */
  readonly signal: AbortSignal;
  /** Waits for a client that is slow. */
  send(event: string, data: unknown): Promise<void>;
}

const HEARTBEAT = 15_000;

/** Answers with server-sent events (`text/event-stream`) until the work ends or the client goes. */
export async function eventStream(
  reply: FastifyReply,
  work: (stream: EventStream) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const { raw } = reply;
  for (const [name, value] of Object.entries(reply.getHeaders()))
    raw.setHeader(name, value as string);
  reply.hijack();
  raw.on('close', () => controller.abort());
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  const write = async (text: string) => {
    if (signal.aborted || raw.write(text)) return;
    await once(raw, 'drain', { signal }).catch(() => {});
  };
  const heartbeat = setInterval(() => void write(':\n\n'), HEARTBEAT);
  const send = (event: string, data: unknown) =>
    write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  try {
    await work({ signal, send });
  } catch (error) {
    if (!signal.aborted) {
      const { code, message } = errorAnswer(error);
      await send('failed', { code, message });
    }
  } finally {
    clearInterval(heartbeat);
    raw.end();
  }
}
