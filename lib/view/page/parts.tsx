/** Small parts of every page. */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { RunState } from '../api.js';
import type { Refusal } from './ask.js';

export function Problem({ error, children }: { error: Refusal; children?: ComponentChildren }) {
  return (
    <div class="notice problem" role="alert">
      <p>{error.message}</p>
      {children}
      <p class="soft">{error.code}</p>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="notice">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Waiting({ what }: { what: string }) {
  return (
    <p class="waiting" role="status">
      <span class="spinner" aria-hidden="true" />
      {what}
    </p>
  );
}

const STATES: Record<RunState, string> = {
  training: 'training',
  finished: 'finished',
  stopped: 'stopped',
  empty: 'not begun',
  gone: 'gone',
};

export function State({ state }: { state: RunState }) {
  return (
    <span class={`state ${state}`}>
      <span class="dot" aria-hidden="true" />
      {STATES[state]}
    </span>
  );
}

/** A choice of one, as buttons side by side. */
export function Choice<Value extends string>({
  label,
  values,
  value,
  onChoose,
}: {
  label: string;
  values: readonly { value: Value; text: ComponentChildren }[];
  value: Value;
  onChoose: (value: Value) => void;
}) {
  return (
    <fieldset class="choice">
      <legend class="hidden">{label}</legend>
      {values.map((each) => (
        <button
          key={each.value}
          type="button"
          aria-pressed={each.value === value}
          onClick={() => onChoose(each.value)}
        >
          {each.text}
        </button>
      ))}
    </fieldset>
  );
}

/** An on/off switch; one that may not be moved says why. */
export function Switch({
  on,
  label,
  hint,
  why,
  onChange,
}: {
  on: boolean;
  label: string;
  hint?: ComponentChildren;
  why?: string | undefined;
  onChange: (on: boolean) => void;
}) {
  return (
    <button
      type="button"
      role="switch"
      class="switch"
      aria-checked={on}
      aria-disabled={why !== undefined}
      title={why}
      onClick={() => why === undefined && onChange(!on)}
    >
      <span class="track" aria-hidden="true">
        <span class="knob" />
      </span>
      <span class="switch-label">{label}</span>
      {hint !== undefined && <span class="soft">{hint}</span>}
    </button>
  );
}

/** Rows of one height, of which only those in sight are there: a thousand cost what a dozen do. */
export function VirtualList({
  count,
  rowHeight,
  label,
  row,
  onSight,
}: {
  count: number;
  rowHeight: number;
  label: string;
  row: (index: number) => JSX.Element;
  onSight?: (from: number, to: number) => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [sight, setSight] = useState({ from: 0, to: 30 });
  useEffect(() => {
    const element = box.current!;
    const look = () => {
      const from = Math.max(0, Math.floor(element.scrollTop / rowHeight) - 4);
      const to = Math.min(
        count,
        Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + 4,
      );
      setSight((before) => (before.from === from && before.to === to ? before : { from, to }));
    };
    look();
    const resized = new ResizeObserver(look);
    resized.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    return () => {
      resized.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, [count, rowHeight]);
  useEffect(() => onSight?.(sight.from, Math.min(count, sight.to)), [sight, count, onSight]);
  const shown = Array.from(
    { length: Math.max(0, Math.min(count, sight.to) - sight.from) },
    (_, i) => sight.from + i,
  );
  return (
    <div class="virtual" ref={box}>
      <ul aria-label={label} style={{ height: `${count * rowHeight}px` }}>
        {shown.map((index) => (
          <li
            key={index}
            aria-setsize={count}
            aria-posinset={index + 1}
            style={{ top: `${index * rowHeight}px`, height: `${rowHeight}px` }}
          >
            {row(index)}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** What may be wider than the page, and then is moved by itself, with the keyboard too. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: without the focus no key could move it
    <section class="scroll" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
