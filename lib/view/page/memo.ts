import { Component, type ComponentType, createElement } from 'preact';
import { useCallback, useRef } from 'preact/hooks';

/** A part that is drawn anew only where one of its properties is another. */
export function memo<Props extends object>(part: ComponentType<Props>): ComponentType<Props> {
  return class extends Component<Props> {
    override shouldComponentUpdate(next: Props): boolean {
      const names = Object.keys({ ...this.props, ...next }) as (keyof Props)[];
      return names.some((name) => !Object.is(this.props[name], next[name]));
    }

    override render() {
      return createElement(part, this.props);
    }
  };
}

/** One function for as long as the part is there, which does what the latest one does. */
export function useStable<Given extends unknown[]>(
  latest: (...given: Given) => void,
): (...given: Given) => void {
  const current = useRef(latest);
  current.current = latest;
  return useCallback((...given: Given) => current.current(...given), []);
}

/** The one before until there is another, as of sizes: nothing jumps. */
export function useLast<Value>(value: Value | null): Value | null {
  const last = useRef(value);
  if (value !== null) last.current = value;
  return last.current;
}
