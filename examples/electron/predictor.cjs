// A utility process: it opens runs and folders, predicts and exports. Neither the window nor the main
// process ever waits for a matrix product, and whatever happens here closes no window.
const { mkdir, readFile, writeFile } = require('node:fs/promises');
const { dirname, join } = require('node:path');

/** The model, or null. */
let predictor = null;
/** The folder of each modality's images; null or absent: none. */
let folders = {};
/** Whether the writing of all frames is to end. */
let stopsSaving = false;
/** Images of the folders that belong together: `{ images: { rgb: file, … }, out: name }`. */
let scenes = [];

/** Pairs the files of folders by their names. @param {Record<string, string | null>} next */
async function pair(next) {
  const { scenesOf } = await import('m3l/experiment');
  const place = (name) => ({ out: name });
  const given = Object.entries(next).filter(([, folder]) => folder !== null);
  // Each alone: a folder without images is an error, whatever the others hold.
  for (const [modality, folder] of given) scenesOf({ [modality]: folder }, place);
  const found = given.length === 0 ? [] : scenesOf(Object.fromEntries(given), place);
  folders = next;
  scenes = found;
  const frames = scenes.map(({ out, images }) => ({ name: out, modalities: Object.keys(images) }));
  return { folders, frames };
}

/**
 * What the model is shown: a scene's images and those of cameras, but for modalities that are switched off.
 * @param {{ images: Record<string, string> } | undefined} scene
 * @param {{ camera?: object, without: string[] }} request
 */
async function imagesOf(scene, { camera = {}, without }) {
  const images = {};
  for (const { name } of predictor.facts.specs) {
    if (without.includes(name)) continue;
    const file = scene?.images[name];
    images[name] = camera[name] ?? (file === undefined ? null : await readFile(file));
  }
  return images;
}

const commands = {
  /** Opens a run; where that fails the one before stays. The folders of its modalities stay open. */
  async open({ run }) {
    const { openPredictor, RunFolder } = await import('m3l/experiment');
    const opened = await openPredictor(run);
    await predictor?.close();
    predictor = opened;
    const { specs, classes, colours } = opened.facts;
    const kept = specs.filter(({ name }) => folders[name]).map(({ name }) => [name, folders[name]]);
    return {
      run,
      rooms: RunFolder.open(run).config().data.rooms !== undefined,
      modalities: specs.map(({ name, kind }) => ({ name, kind })),
      classes: classes.map((name, index) => ({ name, colour: colours[index] })),
      ...(await pair(Object.fromEntries(kept))),
    };
  },

  take: (given) => pair({ ...folders, ...given }),

  /** A file that cannot be read hides none of the others. */
  async pictures(frame) {
    const pictures = {};
    for (const [name, file] of Object.entries(scenes[frame]?.images ?? {})) {
      pictures[name] = await readFile(file)
        .then((bytes) => predictor.picture(name, bytes))
        .catch(({ message }) => ({ error: `${file}: ${message}` }));
    }
    return pictures;
  },

  async predict(request) {
    const images = await imagesOf(scenes[request.frame], request);
    const started = performance.now();
    const { classes, width, height, found, missing } = await predictor.predict(images);
    const milliseconds = performance.now() - started;
    return { classes, width, height, found, missing, milliseconds };
  },

  async save({ path, format, request }) {
    const images = await imagesOf(scenes[request.frame], request);
    const outputs = format === 'classes' ? [] : [format];
    const found = await predictor.predict(images, { outputs });
    if (format === 'classes') {
      const { torch } = await import('m3l');
      const { classes, height, width } = found;
      torch.scope(() => torch.saveNpy(path, torch.tensor(classes, { shape: [height, width] })));
    } else {
      await writeFile(path, found[format]);
    }
    return `wrote ${path}`;
  },

  stopSaving() {
    stopsSaving = true;
  },

  /** One that fails does not stop the others. */
  async saveAll({ folder, without }) {
    stopsSaving = false;
    const all = scenes;
    const failures = [];
    let tried = 0;
    for (const scene of all) {
      if (stopsSaving) break;
      tried += 1;
      const status = { text: 'exporting', done: tried, total: all.length };
      process.parentPort.postMessage({ status });
      const path = join(folder, `${scene.out}.png`);
      try {
        const images = await imagesOf(scene, { without });
        const { palette } = await predictor.predict(images, { outputs: ['palette'] });
        await mkdir(dirname(path), { recursive: true });
        // Never over a file that is there: it may be the image that this was predicted from.
        await writeFile(path, palette, { flag: 'wx' });
      } catch (error) {
        failures.push(`${scene.out}: ${error.message}`);
      }
    }
    const stopped = tried < all.length ? 'stopped: ' : '';
    const written = `${stopped}wrote ${tried - failures.length} of ${all.length} to ${folder}`;
    if (failures.length > 0) throw new Error(`${written}. First failure: ${failures[0]}`);
    return written;
  },
};

process.parentPort.on('message', async ({ data: { id, command, given } }) => {
  try {
    if (predictor === null && command !== 'open') throw new Error('no run is open: open one');
    process.parentPort.postMessage({ id, answer: await commands[command](given) });
  } catch (error) {
    process.parentPort.postMessage({ id, error: error.message });
  }
});
