/** The thread of a measurement of statistics. */

import { workerData } from 'node:worker_threads';
import type { Sample } from './list.js';
import type { ModalitySpec } from './modality.js';
import { type Moments, sceneMoments } from './statistics.js';
import { serve } from './worker-pool.js';

const modalities = workerData as readonly (ModalitySpec | null)[];
serve<Sample, (Moments | null)[]>((sample) => sceneMoments(sample, modalities));
