import type { Spread } from '../experiment/comparison.js';
import { AIM, type FrameworkScore, suiteGain, type TaskScore } from '../experiment/suite.js';
import { signed } from './comparison-table.js';
import { percent } from './table.js';

/** The suite as Markdown: a row a task, then what the averages come to. */
export function suiteTable(tasks: readonly TaskScore[]): string {
  const names = [...new Set(tasks.flatMap(({ frameworks }) => frameworks.map((f) => f.framework)))];
  const head = ['task', ...names, 'gain: robust', 'gain: all', 'aim'];
  const rows = tasks.map(({ task, choosing, frameworks, gain }) => [
    `${task}${choosing ? ' †' : ''}`,
    ...names.map((name) => scoreText(frameworks.find(({ framework }) => framework === name))),
    ...(gain === null
      ? ['', '', '']
      : [pointsText(gain.robust), pointsText(gain.all), gain.met ? 'met' : 'MISSED']),
  ]);
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  const groups: [string, readonly TaskScore[]][] = [
    ['All tasks', tasks],
    ['† settings chosen on these', tasks.filter(({ choosing }) => choosing)],
    ['Held out', tasks.filter(({ choosing }) => !choosing)],
  ];
  const averages = groups.flatMap(([label, some]) => {
    const gain = suiteGain(some);
    return gain === null
      ? []
      : [
          `- ${label}: robust ${signed(gain.robust)}, all ${signed(gain.all)} on average; ${gain.met} of ${gain.tasks} meet the aim.`,
        ];
  });
  return [
    'mIoU with every modality / robust mIoU ± deviation over the seeds (what stands for a missing modality), in %.',
    `Gain: M3L over supervised, in points ± deviation. Aim: robust ≥ +${AIM.robust} and all ≥ ${AIM.all} on each task, robust ≥ +${AIM.average} on average.`,
    '',
    ...lines,
    '',
    ...averages,
  ].join('\n');
}

function scoreText(score: FrameworkScore | undefined): string {
  if (score === undefined) return '';
  const { all, robust, fill } = score;
  const filled = fill === null ? '' : ` (${fill})`;
  return `${percent(all.mean)} / ${percent(robust.mean)}${deviation(100 * robust.deviation, robust)}${filled}`;
}

function pointsText(points: Spread): string {
  return `${signed(points.mean)}${deviation(points.deviation, points)}`;
}

function deviation(points: number, { values }: Spread): string {
  return values.length > 1 ? ` ± ${points.toFixed(1)}` : '';
}
