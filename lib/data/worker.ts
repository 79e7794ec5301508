/** The thread of a data loader. */

import { workerData } from 'node:worker_threads';
import type { SampleTask } from './sample-loader.js';
import { type LoadedSample, SampleLoader, type SampleLoaderOptions } from './sample-loader.js';
import { serve } from './worker-serve.js';

const loader = new SampleLoader(workerData as SampleLoaderOptions);

serve<SampleTask, LoadedSample>(
  (task) => loader.load(task),
  ({ planes, label, valid }) =>
    [...planes, label, valid].flatMap((array) => (array ? [array.buffer as ArrayBuffer] : [])),
);
