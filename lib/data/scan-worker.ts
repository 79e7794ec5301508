/** The thread of a check. */

import { workerData } from 'node:worker_threads';
import { type ScanOptions, type ScanTask, type SceneFacts, scanScene } from './scan.js';
import { serve } from './worker-pool.js';

const options = workerData as ScanOptions;
serve<ScanTask, SceneFacts>((task) => scanScene(task, options));
