// The main process: the window and its dialogs, the process that predicts, the thread that renders rooms.
const { existsSync } = require('node:fs');
const { basename, join } = require('node:path');
const { Worker } = require('node:worker_threads');
const { app, BrowserWindow, dialog, ipcMain, session, utilityProcess } = require('electron');

/**
 * A file that computes, where packaging unpacks it: before Electron 28 nothing in an archive can
 * `import`, and m3l is an ES module.
 * @param {string} name
 */
const unpacked = (name) => join(__dirname, name).replace(/\.asar(?=[\\/])/, '.asar.unpacked');

/** The run to begin with: an argument, or the folder `run` that was packaged with the app; else null. */
function firstRun() {
  const named = process.argv.slice(app.isPackaged ? 1 : 2).find((one) => !one.startsWith('-'));
  const packaged = join(process.resourcesPath, 'run');
  return named ?? (existsSync(packaged) ? packaged : null);
}

/**
 * The process that predicts. `ask` answers in any order, and rejects with what went wrong there; where the
 * process died, the next question starts another.
 * @param {(status: { text: string, done: number, total: number }) => void} say
 */
function predictorProcess(say) {
  /** @type {Electron.UtilityProcess | null} */
  let child = null;
  const waiting = new Map();
  let last = 0;

  function start() {
    const started = utilityProcess.fork(unpacked('predictor.cjs'), [], {
      serviceName: 'predictor',
      // Between two products libtorch's threads would spin for long, on cores that the window draws with.
      env: { GOMP_SPINCOUNT: '5000', ...process.env },
    });
    started.on('message', ({ id, status, answer, error }) => {
      if (status !== undefined) return say(status);
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) resolve(answer);
      else reject(new Error(error));
    });
    started.on('exit', (code) => {
      child = null;
      const error = new Error(`The predictor stopped with exit code ${code}. Open the run again.`);
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    });
    return started;
  }

  /** @param {string} command @param {unknown} [given] */
  return function ask(command, given) {
    child ??= start();
    const id = ++last;
    child.postMessage({ id, command, given });
    return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  };
}

/**
 * Rooms like those of the run, that its training never saw: the folder of each modality's images.
 * @param {string} run
 * @param {(status: { text: string, done: number, total: number }) => void} say
 * @returns {Promise<Record<string, string>>}
 */
function renderRooms(run, say) {
  const folder = join(app.getPath('userData'), 'rooms');
  const thread = new Worker(unpacked('rooms.cjs'), { workerData: { run, folder } });
  return new Promise((resolve, reject) => {
    thread.on('message', ({ done, total, folders }) => {
      if (folders === undefined) say({ text: 'rendering rooms', done, total });
      else resolve(folders);
    });
    thread.on('error', reject);
  });
}

function openWindow() {
  const window = new BrowserWindow({
    width: 1180,
    height: 760,
    minWidth: 720,
    minHeight: 520,
    // Isolated from Node and in Chromium's sandbox: Electron's defaults, which nothing here turns off.
    webPreferences: { preload: join(__dirname, 'preload.cjs') },
  });
  window.removeMenu();
  // The page stays the app's own, whatever is dropped onto it or linked to.
  window.webContents.on('will-navigate', (event) => event.preventDefault());
  window.webContents.setWindowOpenHandler(() => ({ action: 'deny' }));
  window.loadFile(join(__dirname, 'renderer', 'index.html'));
  return window;
}

/** The folder that somebody chooses, or null. */
async function chooseFolder(window, title) {
  const { filePaths } = await dialog.showOpenDialog(window, {
    title,
    properties: ['openDirectory', 'createDirectory'],
  });
  return filePaths[0] ?? null;
}

/** What a prediction is exported as, and the ending of such a file. */
const FORMATS = { palette: 'png', overlay: 'png', classes: 'npy' };

/** All that the page can ask for. Paths come from dialogs alone: one that it named could be any file. */
function answerPage(window) {
  const say = (status) => window.isDestroyed() || window.webContents.send('status', status);
  const ask = predictorProcess(say);

  /** @type {string | null} */
  let opened = null;
  async function open(run) {
    const facts = await ask('open', { run });
    opened = run;
    return facts;
  }

  const answers = {
    async start() {
      const run = firstRun();
      return run && open(run);
    },
    async openRun() {
      const run = await chooseFolder(window, 'The folder that m3l train wrote');
      return run && open(run);
    },
    rooms: async () => ask('take', await renderRooms(opened, say)),
    async openFolder(modality) {
      const folder = await chooseFolder(window, `The folder of the ${modality} images`);
      return folder && ask('take', { [modality]: folder });
    },
    closeFolder: (modality) => ask('take', { [modality]: null }),
    pictures: (frame) => ask('pictures', frame),
    predict: (request) => ask('predict', request),
    stopSaving: () => ask('stopSaving'),
    async save(format, request) {
      if (format === 'all') {
        const folder = await chooseFolder(window, 'The folder to write all predictions into');
        return folder && ask('saveAll', { folder, without: request.without });
      }
      const ending = FORMATS[format];
      const { filePath } = await dialog.showSaveDialog(window, {
        defaultPath: `${basename(request.name)}-${format}.${ending}`,
        filters: [{ name: ending.toUpperCase(), extensions: [ending] }],
      });
      return filePath ? ask('save', { path: filePath, format, request }) : null;
    },
  };
  for (const [name, answer] of Object.entries(answers)) {
    // Electron would wrap an error's message in words of its own.
    ipcMain.handle(name, async (_event, ...given) => {
      try {
        return { value: await answer(...given) };
      } catch (error) {
        return { error: error.message };
      }
    });
  }
}

app.whenReady().then(() => {
  // Of all that a page can ask the system for, this one gets its cameras.
  session.defaultSession.setPermissionRequestHandler((_contents, permission, decide) =>
    decide(permission === 'media'),
  );
  answerPage(openWindow());
});

app.on('window-all-closed', () => app.quit());
