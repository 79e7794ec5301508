/** The scene before, the next, or any by its number. */
export function SceneNavigation({
  index,
  names,
  count = names.length,
  onGo,
}: {
  index: number;
  names: readonly string[];
  count?: number;
  onGo: (index: number) => void;
}) {
  return (
    <div class="scene-navigation">
      <button
        type="button"
        aria-label="Previous scene"
        disabled={index === 0}
        onClick={() => onGo(index - 1)}
      >
        ‹
      </button>
      <input
        type="number"
        aria-label={`Scene, 1 to ${count}`}
        min="1"
        max={count}
        value={index + 1}
        onChange={(event) => {
          const wanted = Math.round(Number(event.currentTarget.value)) - 1;
          onGo(Math.min(count - 1, Math.max(0, wanted)));
        }}
      />
      <span class="soft">of {count}</span>
      <button
        type="button"
        aria-label="Next scene"
        disabled={index >= count - 1}
        onClick={() => onGo(index + 1)}
      >
        ›
      </button>
      <span class="scene-name" title={names[index]}>
        {names[index]}
      </span>
    </div>
  );
}
