import { useEffect, useState } from 'preact/hooks';
import { useStable } from './memo.js';

/**
 * Where between layers one looks: 0 to layers − 1. A whole number is one layer, one between two of them
 * shows both, with a seam. Those that show it follow it by themselves: a move draws nothing else anew.
 */
export class Seam {
  readonly #followers = new Set<() => void>();

  constructor(private place: number) {}

  get at(): number {
    return this.place;
  }

  move(at: number): void {
    if (at === this.place) return;
    this.place = at;
    for (const follower of this.#followers) follower();
  }

  follow(follower: () => void): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }
}

/** What is made of the place; drawn anew only where it becomes another. */
export function useSeam<Value>(seam: Seam, of: (at: number) => Value): Value {
  const value = of(seam.at);
  const [, setShown] = useState(value);
  useEffect(() => seam.follow(() => setShown(of(seam.at))), [seam]);
  return value;
}

/** Milliseconds at rest after which a link holds the place. */
const REST = 200;

/** A seam that goes where the link says, and is written into it once it rests. */
export function useLinkedSeam(at: number, onRest: (at: number) => void): Seam {
  const [seam] = useState(() => new Seam(at));
  const told = useStable(onRest);
  useEffect(() => seam.move(at), [at]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const leave = seam.follow(() => {
      clearTimeout(timer);
      timer = setTimeout(() => told(seam.at), REST);
    });
    return () => {
      clearTimeout(timer);
      leave();
    };
  }, []);
  return seam;
}
