// The main process: the window, the process that predicts, and the thread that renders rooms.
const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { Worker } = require('node:worker_threads');
const { app, BrowserWindow, ipcMain, utilityProcess } = require('electron');

/**
 * A file that computes, where packaging unpacks it: before Electron 28 nothing in an archive can
 * `import`, and m3l is an ES module.
 * @param {string} name
 */
const unpacked = (name) => join(__dirname, name).replace(/\.asar(?=[\\/])/, '.asar.unpacked');

/** The run: an argument, or the folder `run` that was packaged with the app. */
function runFolder() {
  const named = process.argv.slice(app.isPackaged ? 1 : 2).find((one) => !one.startsWith('-'));
  const packaged = join(process.resourcesPath, 'run');
  if (named !== undefined) return named;
  if (existsSync(packaged)) return packaged;
  throw new Error(
    'no run folder was given. Train one with "npx m3l train rooms-demo --out run", then "npm start -- run".',
  );
}

/** The process that predicts: `ask` answers in any order, and rejects with what went wrong there. */
function startPredictor() {
  const child = utilityProcess.fork(unpacked('predictor.cjs'), [], {
    serviceName: 'predictor',
    // Between two products libtorch's threads would spin for long, on cores that the window draws with.
    env: { GOMP_SPINCOUNT: '5000', ...process.env },
  });
  const waiting = new Map();
  let last = 0;
  child.on('message', ({ id, answer, error }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(answer);
    else reject(new Error(error));
  });
  child.on('exit', (code) => {
    for (const { reject } of waiting.values()) {
      reject(new Error(`the predictor stopped with exit code ${code}`));
    }
  });
  /** @param {object} question */
  const ask = (question) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      child.postMessage({ id: last, question });
    });
  return { ask };
}

/**
 * Rooms like those of the run, that its training never saw: the image files of each.
 * @param {string} run
 * @param {(text: string) => void} say
 * @returns {Promise<Record<string, string>[]>}
 */
function renderRooms(run, say) {
  const folder = join(app.getPath('userData'), 'rooms');
  const thread = new Worker(unpacked('rooms.cjs'), { workerData: { run, folder } });
  return new Promise((resolve, reject) => {
    thread.on('message', ({ done, total, scenes }) => {
      if (scenes === undefined) say(`rendering rooms: ${done} of ${total}`);
      else resolve(scenes);
    });
    thread.on('error', reject);
  });
}

function openWindow() {
  const window = new BrowserWindow({
    width: 1180,
    height: 540,
    backgroundColor: '#14181f',
    webPreferences: { preload: join(__dirname, 'preload.cjs') },
  });
  window.removeMenu();
  window.loadFile(join(__dirname, 'renderer', 'index.html'));
}

app.whenReady().then(() => {
  const predictor = startPredictor();
  /** @type {Record<string, string>[]} */
  let scenes = [];

  ipcMain.handle('start', async ({ sender }) => {
    const run = runFolder();
    const [facts, rendered] = await Promise.all([
      predictor.ask({ run }),
      renderRooms(run, (text) => sender.send('status', text)),
    ]);
    scenes = rendered;
    return { ...facts, scenes: scenes.length };
  });
  // The page names rooms by number: a path that it could choose would be any file.
  ipcMain.handle('predict', (_event, scene, missing) =>
    predictor.ask({ images: scenes[scene], missing }),
  );
  openWindow();
});

app.on('window-all-closed', () => app.quit());
