import type { Config } from '../experiment/index.js';
import { createServer, listen } from '../http/server.js';
import { addDataRoutes } from './data-routes.js';
import { DataScenes } from './data-scenes.js';
import { addPageRoutes } from './page-routes.js';
import { RunCatalogue } from './run-catalogue.js';
import { RunPool } from './run-pool.js';
import { addRunRoutes } from './run-routes.js';

/** What `openView` takes by name. */
export interface ViewOptions {
  /** Run folders, or folders of runs. */
  runs?: readonly string[];
  /** The configuration whose data is to be looked at, in place of runs. */
  data?: Config | undefined;
  /** `key=value` overrides of the runs' configurations. */
  sets?: readonly string[];
  port?: number | undefined;
  version: string;
  onNote?: (text: string) => void;
}

const PREFERRED_PORT = 4747;

/**
 * Serves the page that shows runs, or data, to this machine alone.
 *
 * @throws RunError M3L_RUN_MISSING; ConfigError and DataError of data; ListenError M3L_HTTP_PORT
 */
export async function openView({
  runs,
  data,
  sets = [],
  port,
  version,
  onNote = () => {},
}: ViewOptions): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer();
  let where = data?.name ?? '';
  const closing: { close(): Promise<void> }[] = [];
  if (data === undefined) {
    const pool = new RunPool(sets);
    closing.push(pool);
    const catalogue = new RunCatalogue(runs ?? null);
    where = catalogue.given.join(', ');
    addRunRoutes(server, catalogue, pool);
  } else {
    const scenes = await DataScenes.open(data, onNote);
    closing.push(scenes);
    addDataRoutes(server, scenes);
  }
  addPageRoutes(server, { kind: data === undefined ? 'runs' : 'data', where, version });
  const url = await listen(server, { port, preferred: PREFERRED_PORT });
  return {
    url,
    async close() {
      await server.close();
      await Promise.all(closing.map((each) => each.close()));
    },
  };
}
