import { useEffect, useReducer } from 'preact/hooks';
import { Refusal } from './ask.js';

/** Milliseconds until a connection is tried again that the browser has given up. */
const AGAIN = 2000;

/** How events of an address add up. */
export interface FeedKind<State> {
  readonly start: State;
  readonly events: readonly string[];
  take(before: State, data: unknown): State;
  /** Whether all is told, so that the connection is of no more use. */
  isDone?(state: State): boolean;
  /** Whether it is let go while nobody sees the page: it must begin anew for nothing. */
  readonly rests?: boolean;
}

/** What is known of a feed by now. */
export interface Told<State> {
  state: State;
  error: Refusal | null;
}

/** One connection to an address, however many listen; open as long as somebody does. */
class Feed<State> {
  told: Told<State>;
  readonly #listeners = new Set<() => void>();
  #source: EventSource | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  #frame = 0;

  constructor(
    private readonly path: string,
    private readonly kind: FeedKind<State>,
  ) {
    this.told = { state: kind.start, error: null };
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      feeds.set(this.path, this as Feed<unknown>);
      addEventListener('pagehide', this.#close);
      addEventListener('pageshow', this.#open);
      if (this.kind.rests) document.addEventListener('visibilitychange', this.#seen);
      this.#open();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      removeEventListener('pagehide', this.#close);
      removeEventListener('pageshow', this.#open);
      document.removeEventListener('visibilitychange', this.#seen);
      this.#close();
      feeds.delete(this.path);
    };
  }

  readonly #seen = () => (document.hidden ? this.#close() : this.#open());

  readonly #open = () => {
    if (this.#ended || this.#source !== null || (this.kind.rests && document.hidden)) return;
    const source = new EventSource(this.path);
    this.#source = source;
    const take = ({ data }: MessageEvent<string>) => {
      const state = this.kind.take(this.told.state, JSON.parse(data));
      this.#tell({ state, error: null }, this.kind.isDone?.(state));
    };
    for (const event of this.kind.events) source.addEventListener(event, take);
    source.addEventListener('failed', ({ data }: MessageEvent<string>) => {
      const { code, message } = JSON.parse(data) as { code: string; message: string };
      this.#tell({ ...this.told, error: new Refusal(code, message) }, true);
    });
    source.addEventListener('open', () => setLost(this, false));
    source.addEventListener('error', () => {
      setLost(this, true);
      // Otherwise the browser itself tries again.
      if (source.readyState !== EventSource.CLOSED) return;
      this.#source = null;
      this.#timer = setTimeout(this.#open, AGAIN);
    });
  };

  readonly #close = () => {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    setLost(this, false);
  };

  #tell(told: Told<State>, last = false): void {
    this.told = told;
    this.#ended = last;
    if (last) this.#close();
    // Events of several runs come at once: the page is drawn once for them.
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      for (const listener of this.#listeners) listener();
    });
  }
}

const feeds = new Map<string, Feed<unknown>>();
const lost = new Set<unknown>();
const lostListeners = new Set<() => void>();

function setLost(feed: unknown, is: boolean): void {
  if (lost.has(feed) === is) return;
  if (is) lost.add(feed);
  else lost.delete(feed);
  for (const listener of lostListeners) listener();
}

/** Whether a connection is broken that is to be there. */
export function useConnectionLost(): boolean {
  const [, update] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const listener = () => update(undefined);
    lostListeners.add(listener);
    return () => void lostListeners.delete(listener);
  }, []);
  return lost.size > 0;
}

/** What an address tells while the page shows it; all who ask for one share its connection. Null: nothing. */
export function useFeed<State>(path: string | null, kind: FeedKind<State>): Told<State> {
  const [, update] = useReducer((count: number) => count + 1, 0);
  const feed = path === null ? null : feedAt(path, kind);
  useEffect(() => feed?.listen(() => update(undefined)), [feed]);
  return feed?.told ?? { state: kind.start, error: null };
}

function feedAt<State>(path: string, kind: FeedKind<State>): Feed<State> {
  const known = feeds.get(path) as Feed<State> | undefined;
  const feed = known ?? new Feed(path, kind);
  if (known === undefined) feeds.set(path, feed as Feed<unknown>);
  return feed;
}
