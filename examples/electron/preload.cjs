// All that the page can do: it has no Node, and no other way out.
const { contextBridge, ipcRenderer } = require('electron');

/** @param {string} name */
const asks =
  (name) =>
  async (...given) => {
    const { value, error } = await ipcRenderer.invoke(name, ...given);
    if (error !== undefined) throw new Error(error);
    return value;
  };

contextBridge.exposeInMainWorld('m3l', {
  /** Opens the run that the app was started with: what it takes and tells, and its frames; null without one. */
  start: asks('start'),
  /** As `start`, of a run that somebody chooses; null where they do not. */
  openRun: asks('openRun'),
  /** Takes rooms like those that the open run was trained on: `{ folders, frames }`. */
  rooms: asks('rooms'),
  /** Takes a modality's images from a folder that somebody chooses; null where they do not. */
  openFolder: asks('openFolder'),
  /** Takes them from nowhere. */
  closeFolder: asks('closeFolder'),
  /** The images of a frame's number as somebody can look at them, by modality: pixels, or an error. */
  pictures: asks('pictures'),
  /** Predicts `{ frame, camera, without }`: images of a frame and of cameras, but for those modalities. */
  predict: asks('predict'),
  /** Writes such a prediction as `palette`, `overlay` or `classes`, or of `all` frames: what was done. */
  save: asks('save'),
  /** Ends the writing of all frames after the one that is being written; what is written stays. */
  stopSaving: asks('stopSaving'),
  /** What something that takes long is busy with: `{ text }`, and how far it is, `done` of `total`. */
  onStatus: (listen) => ipcRenderer.on('status', (_event, status) => listen(status)),
});
