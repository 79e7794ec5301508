import type { DataHome } from '../api.js';
import { Empty, Scroll } from './parts.js';
import { percent, short } from './text.js';

/** As much of `m3l check`'s report as is shown. */
export interface CheckReport {
  classes: string[];
  splits: Record<string, SplitReport | null>;
  findings: { level: string; code: string; split: string | null; message: string }[];
  chosen: { key: string; value: unknown; why: string }[];
  seconds: number;
}

interface SplitReport {
  scenes: number;
  usable: number;
  sizes: { height: number; width: number; scenes: number }[];
  labels: {
    pixels: number;
    void: number;
    classes: { index: number; name: string; pixels: number; scenes: number }[];
  } | null;
  modalities: {
    name: string;
    stored: { form: string; files: number }[];
    range: { least: number; greatest: number } | null;
  }[];
}

export interface CheckProgress {
  done: number;
  scenes: number;
  report: CheckReport | null;
  problem: string | null;
}

function NotYet({ check: { done, scenes, problem } }: { check: CheckProgress }) {
  if (problem !== null) {
    return (
      <div class="notice problem" role="alert">
        <p>{problem}</p>
      </div>
    );
  }
  return (
    <p class="soft counting" role="status">
      {scenes === 0 ? 'Looking at the data' : `Looked at ${done} of ${scenes} scenes`}
      <progress max={Math.max(1, scenes)} value={done} aria-label="Scenes looked at" />
    </p>
  );
}

/** How much of the labels each class is. */
export function ClassShares({ home, check }: { home: DataHome; check: CheckProgress }) {
  const { report } = check;
  if (report === null) return <NotYet check={check} />;
  const labelled = Object.entries(report.splits).flatMap(([name, split]) =>
    split?.labels ? [{ name, labels: split.labels }] : [],
  );
  if (labelled.length === 0) return <Empty title="No list has labels" />;
  const most = Math.max(
    ...labelled.flatMap(({ labels }) => labels.classes.map(({ pixels }) => pixels / labels.pixels)),
  );
  const rows = [
    ...report.classes.map((name, k) => ({
      name,
      colour: home.colours[k] ?? '#000000',
      of: (at: number) => labelled[at]!.labels.classes[k]!,
    })),
    {
      name: 'void',
      colour: '#000000',
      of: (at: number) => ({ pixels: labelled[at]!.labels.void, scenes: null }),
    },
  ];
  return (
    <Scroll label="Classes">
      <table class="shares">
        <thead>
          <tr>
            <th scope="col">Class</th>
            {labelled.map(({ name, labels }) => (
              <th key={name} scope="col">
                {name}: % of {short(labels.pixels)} pixels, scenes
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, colour, of }, k) => (
            <tr key={`${k} ${name}`}>
              <th scope="row">
                <span class="swatch" style={{ background: colour }} aria-hidden="true" />
                {name}
              </th>
              {labelled.map(({ name: split, labels }, at) => {
                const { pixels, scenes } = of(at);
                const share = pixels / labels.pixels;
                return (
                  <td key={split}>
                    <span class="share">
                      <span class="meter" aria-hidden="true">
                        <span style={{ width: `${(100 * share) / most}%` }} />
                      </span>
                      <b>{percent(share, 2)}</b>
                      <span class="soft">{scenes ?? ''}</span>
                    </span>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** What `m3l check` found. */
export function Findings({ home, check }: { home: DataHome; check: CheckProgress }) {
  const { report } = check;
  if (report === null) return <NotYet check={check} />;
  const chosen = report.chosen.length > 0 ? report.chosen : home.chosen;
  const splits = Object.entries(report.splits).flatMap(([name, split]) =>
    split === null ? [] : [{ name, ...split }],
  );
  return (
    <>
      {report.findings.length === 0 ? (
        <div class="notice good">Nothing found that is in the way.</div>
      ) : (
        <ul class="findings">
          {report.findings.map(({ level, split, message, code }) => (
            <li key={`${code} ${split} ${message}`} class={level}>
              <b>
                {level}
                {split === null ? '' : ` in ${split}`}
              </b>
              <span>{message}</span>
              <code>{code}</code>
            </li>
          ))}
        </ul>
      )}
      <Scroll label="Lists">
        <table class="config">
          <thead>
            <tr>
              <th scope="col">List</th>
              <th scope="col">Scenes</th>
              <th scope="col">Usable</th>
              <th scope="col">Sizes</th>
              <th scope="col">Stored as</th>
            </tr>
          </thead>
          <tbody>
            {splits.map(({ name, scenes, usable, sizes, modalities }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{scenes}</td>
                <td>{usable}</td>
                <td>
                  {sizes
                    .slice(0, 4)
                    .map(({ width, height }) => `${width} × ${height}`)
                    .join(', ')}
                  {sizes.length > 4 ? ` and ${sizes.length - 4} more` : ''}
                </td>
                <td>
                  {modalities.map(({ name: modality, stored, range }) => (
                    <div key={modality}>
                      {modality}: {stored.map(({ form }) => form).join('; ')}
                      {range ? `, ${short(range.least)} to ${short(range.greatest)}` : ''}
                    </div>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {chosen.length > 0 && (
        <>
          <h2>Chosen, as the configuration leaves it open</h2>
          <ul class="plain">
            {chosen.map(({ key, value, why }) => (
              <li key={key}>
                <code>
                  {key}: {typeof value === 'string' ? value : JSON.stringify(value)}
                </code>{' '}
                <span class="soft">{why}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
