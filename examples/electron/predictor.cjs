// A utility process: loads a trained model and predicts, so that neither the window nor the main
// process ever waits for a matrix product.

/** The network of a run, ready to predict. */
let opened = null;

/** @param {string} run */
async function open(run) {
  const { RunFolder, findCheckpoint, loadNetworks } = await import('m3l/experiment');
  const { frameworkNamed } = await import('m3l/learning');
  const { optimizeForInference } = await import('m3l/inference');
  const { classColours, STANFORD_CLASSES } = await import('m3l/data');

  const folder = RunFolder.open(run);
  const config = folder.config();
  const checkpoint = findCheckpoint(folder.checkpoints, 'latest');
  if (checkpoint === null) throw new Error(`${run} holds no checkpoint: train it first`);

  const names = config.data.classes ?? STANFORD_CLASSES.names;
  const colours = config.data.palette ?? classColours(names);
  const specs = Object.entries(config.data.modalities).map(([name, spec]) => ({ name, ...spec }));
  const { networks } = loadNetworks(checkpoint, config, names.length);
  const view = optimizeForInference(networks[frameworkNamed(config.framework.name).headline]);
  opened = { view, specs, colours, size: config.data.evaluationSize, fill: config.evaluate.fill };
  return { run, modalities: specs.map(({ name }) => name), classes: names, colours };
}

/**
 * @param {Record<string, string>} images the file of each modality
 * @param {number[]} missing modalities that the model is not shown
 */
async function predict(images, missing) {
  const { torch } = await import('m3l');
  const { colourise, loadInputs } = await import('m3l/data');
  const { modalityPicture, predictClasses } = await import('m3l/evaluation');

  const { view, specs, colours, fill } = opened;
  const files = specs.map(({ name }) => images[name]);
  const { inputs, size } = await loadInputs(specs, files, { size: opened.size });
  try {
    const started = performance.now();
    const classes = torch.scope(() => {
      const [map] = predictClasses(view, inputs, {
        specs,
        missing,
        fill,
        size,
        heads: ['ensemble'],
      });
      return map.to('uint8').toTypedArray();
    });
    const milliseconds = performance.now() - started;

    const shares = colours.map(() => 0);
    for (const index of classes) shares[index] += 1 / classes.length;
    const [height, width] = size;
    return {
      pictures: inputs.map((input, index) => modalityPicture(input, specs[index])),
      prediction: { width, height, pixels: colourise(classes, colours) },
      shares,
      milliseconds,
    };
  } finally {
    torch.dispose(inputs);
  }
}

process.parentPort.on('message', async ({ data: { id, question } }) => {
  try {
    const { run, images, missing } = question;
    const answer = await (run === undefined ? predict(images, missing) : open(run));
    process.parentPort.postMessage({ id, answer });
  } catch (error) {
    process.parentPort.postMessage({ id, error: error.message });
  }
});
