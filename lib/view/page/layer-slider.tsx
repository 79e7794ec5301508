import { type Seam, useSeam } from './seam.js';

/** The slider from layer to layer; the names below it go there at once. */
export function LayerSlider({
  names,
  off,
  seam,
}: {
  names: readonly string[];
  off: readonly string[];
  seam: Seam;
}) {
  const at = useSeam(seam, (place) => place);
  const last = names.length - 1;
  const near = Math.round(at);
  const between = Math.abs(at - near) > 0.02;
  const text = between
    ? `${names[Math.floor(at)]} to ${names[Math.floor(at) + 1]}`
    : (names[near] ?? '');
  return (
    <div class="layers">
      <input
        type="range"
        aria-label="Layer"
        aria-valuetext={text}
        min="0"
        max={last}
        step="0.05"
        value={at}
        onInput={(event) => seam.move(Number(event.currentTarget.value))}
      />
      <div class="layer-names">
        {names.map((name, index) => (
          <button
            key={name}
            type="button"
            aria-pressed={!between && index === near}
            class={off.includes(name) ? 'off' : ''}
            onClick={() => seam.move(index)}
          >
            {name}
          </button>
        ))}
      </div>
    </div>
  );
}
