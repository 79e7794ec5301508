import { useEffect, useState } from 'preact/hooks';
import type { ClassMap } from './ask.js';
import { classesAt } from './scene-data.js';
import { measure } from './scene-measures.js';
import { percent } from './text.js';

/** What each sensor is worth in this scene: its mIoU with all there, and with each one missing. */
export function Cases({
  modalities,
  off,
  label,
  classes,
  path,
  onOff,
}: {
  modalities: readonly string[];
  off: readonly string[];
  label: ClassMap | null;
  classes: number;
  path: (without: readonly string[]) => string;
  onOff: (off: readonly string[]) => void;
}) {
  const sets = modalities.length > 1 ? [[], ...modalities.map((name) => [name])] : [];
  const [scores, setScores] = useState<Readonly<Record<string, number | null>>>({});
  const key = sets.map(path).join('\n');
  useEffect(() => {
    let ended = false;
    if (label === null) return;
    for (const set of sets) {
      classesAt(path(set)).then(
        (map) => {
          if (ended || map.classes.length !== label.classes.length) return;
          const { meanIoU } = measure(label, map, classes);
          setScores((before) => ({ ...before, [set.join(' ')]: meanIoU }));
        },
        () => {},
      );
    }
    return () => {
      ended = true;
    };
  }, [key, label]);
  if (sets.length === 0 || label === null) return null;
  return (
    <fieldset class="cases">
      <legend>mIoU of this scene</legend>
      {sets.map((set) => {
        const name = set.length === 0 ? 'with everything' : `without ${set.join()}`;
        const score = scores[set.join(' ')];
        return (
          <button
            key={name}
            type="button"
            aria-pressed={set.join(' ') === off.join(' ')}
            onClick={() => onOff(set)}
          >
            <span>{name}</span>
            <span class="meter" aria-hidden="true">
              <span style={{ width: `${100 * (score ?? 0)}%` }} />
            </span>
            <b>{percent(score)}</b>
          </button>
        );
      })}
    </fieldset>
  );
}
