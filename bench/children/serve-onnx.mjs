// The server of `m3l serve` with the same model in onnxruntime-node behind it: node serve-onnx.mjs RUN THREADS
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadInputs, palettePng } from '../../dist/data/index.js';
import { classNames, paletteOf } from '../../dist/experiment/classes.js';
import { exportOnnx, RunFolder } from '../../dist/experiment/index.js';
import { specsOf } from '../../dist/experiment/networks.js';
import { loadingOf } from '../../dist/experiment/prediction-options.js';
import { sourcesOf } from '../../dist/experiment/predictor/images.js';
import { torch } from '../../dist/index.js';
import { Metrics } from '../../dist/serve/metrics.js';
import { settingsOf } from '../../dist/serve/options.js';
import { addRoutes } from '../../dist/serve/routes.js';
import { createServer } from '../../dist/serve/server.js';
import { onnxruntime } from '../onnxruntime.mjs';

const [folder, threads] = process.argv.slice(2);
const run = RunFolder.open(folder);
const config = run.config(['device=cpu']);
const out = join(mkdtempSync(join(tmpdir(), 'm3l-serve-onnx-')), 'model.onnx');
await exportOnnx(run, { out });
const { InferenceSession, Tensor } = onnxruntime();
const session = await InferenceSession.create(out, {
  intraOpNumThreads: Number(threads),
  logSeverityLevel: 3,
});
const [specs, classes, colours] = [specsOf(config), classNames(config), paletteOf(config)];
const loading = loadingOf(config);
const facts = { specs, classes, colours, loading, hasMaskToken: false };

/** One scene at a time, all modalities there, palette alone: what the load asks for. */
async function predict(images) {
  const { inputs, size } = await loadInputs(specs, sourcesOf(images, facts, 2 ** 22), loading);
  const feeds = Object.fromEntries(
    inputs.map((input, m) => [
      specs[m].name,
      new Tensor('float32', input.contiguous().toTypedArray(), input.shape),
    ]),
  );
  torch.dispose(inputs);
  const { logits } = await session.run(feeds);
  const map = torch.scope(() => {
    const values = torch.tensor(logits.data, { shape: logits.dims });
    const sized = torch.ops.aten.upsample_bilinear2d(values, size, false);
    return sized.argmax(1).to('uint8').toTypedArray();
  });
  return {
    width: size[1],
    height: size[0],
    missing: [],
    fill: null,
    classes: map,
    palette: palettePng(map, size, colours),
  };
}

const predictor = {
  facts,
  predict,
  load: { waiting: 0, running: 0 },
  alive: true,
};
const settings = settingsOf({ port: 0, maxQueue: 256, log: console.error });
const metrics = new Metrics();
const server = createServer(settings, { closing: false }, metrics);
addRoutes(server, { predictor, settings, metrics, version: '0' });
await server.listen({ port: 0, host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${server.server.address().port}`);
process.once('SIGTERM', () => server.close().then(() => process.exit(0)));
