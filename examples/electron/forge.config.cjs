// Electron Forge: the same layout as "build" of package.json is for electron-builder.
module.exports = {
  packagerConfig: {
    asar: { unpack: '{predictor.cjs,rooms.cjs,**/node_modules/**}' },
    extraResource: ['run'],
  },
};
