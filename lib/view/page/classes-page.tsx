import type { LiveRun } from './live.js';
import { Choice, Empty, Scroll } from './parts.js';
import { linkTo, type Route, replaceRoute } from './route.js';
import { percent } from './text.js';
import { shade, useTheme } from './theme.js';

/** IoU of each class: of one run by case, of several by run. */
export function ClassesPage({ runs, route }: { runs: readonly LiveRun[]; route: Route }) {
  const theme = useTheme();
  const evaluated = runs.filter(({ latest }) => latest !== null);
  if (evaluated.length === 0) {
    return (
      <Empty title="Not evaluated yet">
        <p>
          The first evaluation comes as the configuration's <code>evaluate.every</code> says, and at
          the end of training.
        </p>
      </Empty>
    );
  }
  const classesOf = ({ latest }: LiveRun) => latest!.classes;
  const casesOf = ({ latest }: LiveRun) => latest!.heads[0]?.cases ?? [];
  const caseNames = [...new Set(evaluated.flatMap((run) => casesOf(run).map(({ name }) => name)))];
  const wanted = route.query.get('case');
  const chosen = caseNames.find((name) => name === wanted) ?? caseNames[0] ?? 'all';
  const single = evaluated.length === 1;
  const columns = single
    ? casesOf(evaluated[0]!).map((each) => ({
        title: each.name,
        own: classesOf(evaluated[0]!),
        ...each,
      }))
    : evaluated.map((run) => {
        const found = casesOf(run).find(({ name }) => name === chosen);
        return {
          title: run.id,
          own: classesOf(run),
          classIoU: found?.classIoU ?? [],
          meanIoU: found?.meanIoU ?? null,
        };
      });
  const { iteration, images } = evaluated[0]!.latest!;
  // Runs may have others, or in another order.
  const classes = [...new Set(evaluated.flatMap(classesOf))];
  return (
    <>
      <div class="bar">
        {!single && (
          <Choice
            label="Case"
            values={caseNames.map((name) => ({ value: name, text: name }))}
            value={chosen}
            onChoose={(name) => replaceRoute(linkTo(route.path, { case: name }))}
          />
        )}
        <span class="soft">
          IoU in percent{single ? ` after ${iteration} iterations, ${images ?? '?'} images` : ''}
        </span>
      </div>
      <Scroll label="IoU by class">
        <table class="matrix iou">
          <thead>
            <tr>
              <th scope="col">Class</th>
              {columns.map(({ title }) => (
                <th key={title} scope="col">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {classes.map((name) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {columns.map(({ title, own, classIoU }) => {
                  const value = classIoU[own.indexOf(name)] ?? null;
                  const { ground, ink } = shade(theme, value ?? 0);
                  return (
                    <td
                      key={title}
                      style={value === null ? {} : { background: ground, color: ink }}
                    >
                      {percent(value)}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">mean</th>
              {columns.map(({ title, meanIoU }) => (
                <td key={title}>
                  <b>{percent(meanIoU)}</b>
                </td>
              ))}
            </tr>
          </tfoot>
        </table>
      </Scroll>
    </>
  );
}
