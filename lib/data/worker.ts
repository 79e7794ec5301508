/** The thread of a data loader. */

import { workerData } from 'node:worker_threads';
import type { AugmentOn } from './loader.js';
import {
  type LoadedSample,
  type RawSample,
  SampleLoader,
  type SampleLoaderOptions,
  type SampleTask,
} from './sample-loader.js';
import { serve } from './worker-pool.js';

const { augmentOn, ...options } = workerData as SampleLoaderOptions & { augmentOn: AugmentOn };
const loader = new SampleLoader(options);
const handOver = (arrays: readonly (ArrayBufferView | null)[]) =>
  arrays.flatMap((array) => (array ? [array.buffer as ArrayBuffer] : []));

if (augmentOn === 'device') {
  serve<SampleTask, RawSample>(
    (task) => loader.loadRaw(task),
    ({ planes, label }) => handOver([...planes.map(({ data }) => data), label]),
  );
} else {
  serve<SampleTask, LoadedSample>(
    (task) => loader.load(task),
    ({ planes, label, valid }) => handOver([...planes, label, valid]),
  );
}
