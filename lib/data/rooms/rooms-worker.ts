/** A thread that renders and writes rooms. */

import { serve } from '../worker-serve.js';
import { writeRoom } from './write-room.js';

serve(writeRoom);
