// Segments scenes over HTTP, from whichever sensors have sent something, with the run in RUN (./run):
//   curl -F rgb=@rgb.png -F depth=@depth.png localhost:8080 -o classes.png
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import { classColours, colourise, loadInputs, STANFORD_CLASSES } from 'm3l/data';
import { Picture, predictClasses } from 'm3l/evaluation';
import { findCheckpoint, loadNetworks, RunFolder } from 'm3l/experiment';
import { optimizeForInference } from 'm3l/inference';
import { frameworkNamed } from 'm3l/learning';

const LARGEST = 32 << 20;

const run = RunFolder.open(process.env.RUN ?? 'run');
const config = run.config(['device=cpu']);
const { classes = STANFORD_CLASSES.names, evaluationSize, resize, align } = config.data;
const colours = config.data.palette ?? classColours(classes);
const specs = Object.entries(config.data.modalities).map(([name, spec]) => ({ name, ...spec }));
const { networks } = loadNetworks(findCheckpoint(run.checkpoints, 'best'), config, classes.length);
const view = optimizeForInference(networks[frameworkNamed(config.framework.name).headline]);

/** Images are read from files: what they are is told by their bytes. */
async function predict(form, folder) {
  const files = await Promise.all(
    specs.map(async ({ name }) => {
      if (!form.has(name)) return null;
      const file = join(folder, name);
      await writeFile(file, new Uint8Array(await form.get(name).arrayBuffer()));
      return file;
    }),
  );
  const { inputs, size } = await loadInputs(specs, files, { size: evaluationSize, resize, align });
  try {
    // Nothing is awaited in here: one request's tensors are gone before the next one's are made.
    const found = torch.scope(() => {
      const { fill } = config.evaluate;
      const [map] = predictClasses(view, inputs, { specs, fill, size, heads: ['ensemble'] });
      return map.to('uint8').toTypedArray();
    });
    const [height, width] = size;
    const picture = new Picture(width, height);
    picture.pixels.set(colourise(found, colours));
    return picture.png();
  } finally {
    torch.dispose(inputs);
  }
}

async function bodyOf(request) {
  const parts = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    if (bytes > LARGEST) throw new RangeError(`a request may have ${LARGEST} bytes`);
    parts.push(part);
  }
  return new Response(Buffer.concat(parts), { headers: request.headers }).formData();
}

const server = createServer(async (request, response) => {
  const folder = await mkdtemp(join(tmpdir(), 'segment-'));
  try {
    if (request.method !== 'POST') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ modalities: specs.map(({ name }) => name), classes }));
      return;
    }
    const png = await predict(await bodyOf(request), folder);
    response.setHeader('content-type', 'image/png');
    response.end(png);
  } catch (error) {
    response.statusCode = 400;
    response.end(`${error.message}\n`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
server.listen(Number(process.env.PORT ?? 8080), () => {
  console.log(`listening on port ${server.address().port}`);
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => server.close());
