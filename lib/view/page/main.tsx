import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import 'uplot/dist/uPlot.min.css';
import './styles/base.css';
import './styles/frame.css';
import './styles/runs.css';
import './styles/charts.css';
import './styles/scenes.css';
import './styles/tables.css';
import type { Home } from '../api.js';
import { useJson } from './ask.js';
import { DataPage } from './data-page.js';
import { useConnectionLost } from './feed.js';
import { Problem, Waiting } from './parts.js';
import { useRoute } from './route.js';
import { RunList } from './run-list.js';
import { RunPage } from './run-page.js';

function Page() {
  const route = useRoute();
  const { value: home, error } = useJson<Home>('/api/home');
  return (
    <>
      <header class="top">
        <a class="mark" href="#/">
          <img src="/icon.svg" alt="" width="22" height="22" />
          m3l
        </a>
        <span class="soft">{home === null ? ' ' : `${home.version}`}</span>
        <Connection />
      </header>
      {error && (
        <main class="page">
          <h1>m3l</h1>
          <Problem error={error} />
        </main>
      )}
      {!error && home === null && (
        <main class="page">
          <h1 class="hidden">m3l</h1>
          <Waiting what="Asking the server" />
        </main>
      )}
      {home !== null && <Inside home={home} route={route} />}
    </>
  );
}

function Connection() {
  const isLost = useConnectionLost();
  return (
    <span role="status" class={isLost ? 'connection lost' : 'connection'}>
      {isLost && 'Connection lost: this may be old. Trying again …'}
    </span>
  );
}

function Inside({ home, route }: { home: Home; route: ReturnType<typeof useRoute> }) {
  const isList = home.kind === 'runs' && route.path[0] !== 'runs';
  useEffect(() => {
    if (isList) document.title = 'Runs – m3l';
  }, [isList]);
  if (home.kind === 'data') return <DataPage route={route} />;
  if (isList) return <RunList where={home.where} route={route} />;
  return <RunPage key={route.path[1]} route={route} />;
}

render(<Page />, document.getElementById('page')!);
