// All that the page can do: it has no Node, and no other way out.
const { contextBridge, ipcRenderer } = require('electron');

contextBridge.exposeInMainWorld('m3l', {
  /** Opens the run: its modalities, classes and colours, and how many scenes there are. */
  start: () => ipcRenderer.invoke('start'),
  /** Predicts a scene without the modalities of these numbers. */
  predict: (scene, missing) => ipcRenderer.invoke('predict', scene, missing),
  /** What `start` is busy with. */
  onStatus: (listen) => ipcRenderer.on('status', (_event, text) => listen(text)),
});
