/** A thread that renders and writes rooms. */

import { serve } from '../data/worker-pool.js';
import { writeRoom } from './write-room.js';

serve(writeRoom);
