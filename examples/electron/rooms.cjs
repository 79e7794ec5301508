// A thread of the main process: renders rooms, images of each modality, for a run that was trained on such.
const { join } = require('node:path');
const { parentPort, workerData } = require('node:worker_threads');

const COUNT = 16;

async function render({ run, folder }) {
  const { RunFolder } = await import('m3l/experiment');
  const { roomSensors, writeRooms } = await import('m3l/rooms');

  const { rooms, modalities } = RunFolder.open(run).config().data;
  const [height, width] = rooms.size;
  const sensors = roomSensors(Object.keys(modalities));
  await writeRooms(folder, {
    ...rooms,
    ...{ height, width, sensors, labelled: 0, unlabelled: 0, val: COUNT, workers: 0 },
    // Others than those of the training and its evaluation.
    seed: rooms.seed + 1,
    onProgress: (done, total) => parentPort.postMessage({ done, total }),
  });
  return Object.fromEntries(sensors.map((name) => [name, join(folder, name)]));
}

render(workerData).then((folders) => parentPort.postMessage({ folders }));
