import { useEffect, useState } from 'preact/hooks';
import type { RunConfig, RunEntry } from '../api.js';
import { askJson, asRefusal, type Refusal, useJson } from './ask.js';
import { Problem, Scroll, Waiting } from './parts.js';
import { joinIds, linkTo, MOST_RUNS } from './route.js';

/** Configurations side by side; what differs stands out, and alone where that is asked for. */
export function ConfigPage({ ids }: { ids: readonly string[] }) {
  const [configs, setConfigs] = useState<RunConfig[] | null>(null);
  const [error, setError] = useState<Refusal | null>(null);
  const [search, setSearch] = useState('');
  const [onlyDifferent, setOnlyDifferent] = useState(ids.length > 1);
  const key = ids.join('\n');
  useEffect(() => {
    setConfigs(null);
    Promise.all(
      ids.map((id) => askJson<RunConfig>(`/api/runs/${encodeURIComponent(id)}/config`)),
    ).then(setConfigs, (failure: unknown) => setError(asRefusal(failure)));
  }, [key]);
  if (error) return <Problem error={error} />;
  if (configs === null) return <Waiting what="Reading the configuration" />;
  const all = [...new Set(configs.flatMap(({ values }) => Object.keys(values)))];
  const differs = (name: string) => new Set(configs.map(({ values }) => values[name])).size > 1;
  const wanted = search.trim().toLowerCase();
  const rows = all.filter(
    (name) =>
      (!onlyDifferent || differs(name)) &&
      (name.toLowerCase().includes(wanted) ||
        configs.some(({ values }) => values[name]?.toLowerCase().includes(wanted))),
  );
  return (
    <>
      {configs.flatMap(({ problem }) =>
        problem === null
          ? []
          : [
              <div class="notice problem" key={problem}>
                {problem}
              </div>,
            ],
      )}
      <div class="bar">
        <input
          type="search"
          placeholder="Search keys and values"
          aria-label="Search keys and values"
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        {ids.length > 1 && (
          <label>
            <input
              type="checkbox"
              checked={onlyDifferent}
              onChange={(event) => setOnlyDifferent(event.currentTarget.checked)}
            />
            Only what differs ({all.filter(differs).length} of {all.length})
          </label>
        )}
        <CompareWith ids={ids} />
      </div>
      {rows.length === 0 ? (
        <p class="soft">
          {onlyDifferent && wanted === '' ? 'These configurations are the same.' : 'Nothing found.'}
        </p>
      ) : (
        <Scroll label="Configuration">
          <table class="config">
            <thead>
              <tr>
                <th scope="col">Key</th>
                {ids.map((id) => (
                  <th key={id} scope="col">
                    {ids.length > 1 ? id : 'Value'}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((name) => (
                <tr key={name} class={ids.length > 1 && differs(name) ? 'differs' : ''}>
                  <th scope="row">{name}</th>
                  {configs.map(({ values }, i) => (
                    <td key={ids[i]}>{values[name] ?? '–'}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </>
  );
}

/** Another run's configuration beside these. */
function CompareWith({ ids }: { ids: readonly string[] }) {
  const { value: runs } = useJson<RunEntry[]>('/api/runs');
  const others = (runs ?? []).filter(({ id }) => !ids.includes(id));
  if (others.length === 0 || ids.length >= MOST_RUNS) return null;
  return (
    <select
      aria-label="Compare with another run"
      value=""
      onChange={({ currentTarget: { value } }) => {
        if (value !== '')
          location.hash = linkTo(['runs', joinIds([...ids, value]), 'configuration']);
      }}
    >
      <option value="">Compare with …</option>
      {others.map(({ id }) => (
        <option key={id} value={id}>
          {id}
        </option>
      ))}
    </select>
  );
}
