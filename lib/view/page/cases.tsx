import { useEffect, useState } from 'preact/hooks';
import type { ClassMap } from './ask.js';
import { memo } from './memo.js';
import { classesAt } from './scene-data.js';
import { measure } from './scene-measures.js';
import { percent } from './text.js';

/** A case, and where its prediction is. */
export interface Case {
  off: readonly string[];
  path: string;
}

/** With everything, and with each sensor missing. */
export function casesOf(
  modalities: readonly string[],
  path: (without: readonly string[]) => string,
): Case[] {
  const sets = modalities.length > 1 ? [[], ...modalities.map((name) => [name])] : [[]];
  return sets.map((off) => ({ off, path: path(off) }));
}

/** What each sensor is worth in this scene: its mIoU with all there, and with each one missing. */
export const Cases = memo(function Cases({
  cases,
  off,
  label,
  classes,
  onOff,
}: {
  cases: readonly Case[];
  off: readonly string[];
  label: ClassMap | null;
  classes: number;
  onOff: (off: readonly string[]) => void;
}) {
  const scores = useScores(cases, label, classes);
  if (cases.length === 1 || label === null) return null;
  return (
    <fieldset class="cases">
      <legend>mIoU of this scene</legend>
      {cases.map((each) => {
        const name = each.off.length === 0 ? 'with everything' : `without ${each.off.join()}`;
        const score = scores[each.path];
        return (
          <button
            key={name}
            type="button"
            aria-pressed={each.off.join(' ') === off.join(' ')}
            onClick={() => onOff(each.off)}
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
});

type Scores = Readonly<Record<string, number | null>>;

/**
 * The score of each case, by its path. One is asked for after the other, so that a scene that is left
 * keeps nobody waiting; they are there before a switch is flipped, too.
 */
function useScores(cases: readonly Case[], label: ClassMap | null, classes: number): Scores {
  const [scores, setScores] = useState<Scores>({});
  useEffect(() => {
    let ended = false;
    const all = async () => {
      for (const { path } of cases) {
        if (ended) return;
        const map = await classesAt(path).catch(() => null);
        if (ended || map === null || label === null) continue;
        if (map.classes.length !== label.classes.length) continue;
        const { meanIoU } = measure(label, map, classes);
        setScores((before) => ({ ...before, [path]: meanIoU }));
      }
    };
    setScores({});
    void all();
    return () => {
      ended = true;
    };
  }, [cases, label]);
  return scores;
}
