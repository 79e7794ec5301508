// A thread of the main process: renders the rooms that the window shows.
const { parentPort, workerData } = require('node:worker_threads');

const COUNT = 16;

async function render({ run, folder }) {
  const { RunFolder } = await import('m3l/experiment');
  const { readList } = await import('m3l/data');
  const { roomSensors, writeRooms } = await import('m3l/rooms');

  const { rooms, modalities } = RunFolder.open(run).config().data;
  if (rooms === undefined) {
    throw new Error(`${run} was trained on files, expected rooms: npx m3l train rooms-demo`);
  }
  const [height, width] = rooms.size;
  const sensors = roomSensors(Object.keys(modalities));
  const { valList } = await writeRooms(folder, {
    ...rooms,
    ...{ height, width, sensors, labelled: 0, unlabelled: 0, val: COUNT, workers: 0 },
    // Others than those of the training and its evaluation.
    seed: rooms.seed + 1,
    onProgress: (done, total) => parentPort.postMessage({ done, total }),
  });
  const samples = readList(valList, { root: folder, modalities: sensors.length });
  return samples.map(({ files }) => Object.fromEntries(sensors.map((name, k) => [name, files[k]])));
}

render(workerData).then((scenes) => parentPort.postMessage({ scenes }));
