/** One procedural room as a camera with a depth sensor would record it. */

import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { createRoom } from './layout.js';
import { senseNormals } from './normals.js';
import { castView } from './raycast.js';
import { labelsOf, senseDepth } from './sensor.js';
import type { RoomSensor } from './sensors.js';
import { paintPicture } from './shade.js';
import { senseHeat } from './thermal.js';
import { wearTypicalColours } from './typical-colours.js';
import { drawDifficulty, USUAL_DEVELOPMENT, VARIED_DEVELOPMENT, varyScene } from './variety.js';

/** What a room is made of. */
export interface RoomOptions {
  /** Picture size, pixels. Default 160 × 120. */
  readonly width?: number;
  readonly height?: number;
  /**
   * Probability (0 to 1) that a piece of furniture wears the colour and texture of the floor, a
   * wall or another piece instead of its own; higher makes RGB alone weaker. Default 0.4.
   */
  readonly camouflage?: number;
  /**
   * Probability (0 to 1) that a thing wears the colour typical of its kind: higher makes RGB alone
   * stronger. Default 0.
   */
  readonly typicalColours?: number;
  /** Multiplies noise and holes of the depth sensor, and noise of normals; 0: exact. Default 1. */
  readonly depthNoise?: number;
  /** Rays a pixel and direction for the colour picture: 1 is fastest, 2 smooths edges. Default 2. */
  readonly smoothing?: 1 | 2;
  /** What is sensed; colour and depth always are. Default: nothing more. */
  readonly sensors?: readonly RoomSensor[];
  /**
   * Draws camouflage, typical colours and depth noise for each room by itself, and varies textures,
   * colours, light and camera widely: for pretraining. Default false.
   */
  readonly varied?: boolean;
}

/** A rendered room; all pictures row-major, top row first. */
export interface Room {
  readonly width: number;
  readonly height: number;
  /** sRGB, 3 bytes a pixel. */
  readonly rgb: Uint8Array;
  /** Distance along the optical axis, millimetres; 0 where the sensor saw nothing. */
  readonly depth: Uint16Array;
  /** Stanford classes 0 to 12. */
  readonly label: Uint8Array;
  /** Camera-space unit normals as bytes, 3 a pixel (see `senseNormals`), where they were asked for. */
  readonly normals?: Uint8Array;
  /** Heat as a grey picture, a byte a pixel (see `senseHeat`), where it was asked for. */
  readonly thermal?: Uint8Array;
}

/** Renders the room of a seed. The same seed and options give the same bytes. */
export function renderRoom(seed: number, options: RoomOptions = {}): Room {
  checkArguments('renderRoom', { seed, options }, { seed: is.finite, options: is.record });

  const width = options.width ?? 160;
  const height = options.height ?? 120;
  const { varied = false, smoothing = 2, sensors = [] } = options;
  const given = varied ? drawDifficulty(seed) : options;
  const { camouflage = 0.4, typicalColours = 0, depthNoise = 1 } = given;
  const room = createRoom(seed, camouflage);
  const scene = wearTypicalColours(varied ? varyScene(room, seed) : room, typicalColours, seed);
  const development = varied ? VARIED_DEVELOPMENT : USUAL_DEVELOPMENT;
  const view = castView(scene, width, height);
  return {
    width,
    height,
    rgb: paintPicture(scene, width, height, smoothing, seed, development),
    depth: senseDepth(scene, view, seed, depthNoise),
    label: labelsOf(scene, view),
    ...(sensors.includes('normals') && { normals: senseNormals(scene, view, seed, depthNoise) }),
    ...(sensors.includes('thermal') && { thermal: senseHeat(scene, view, seed) }),
  };
}
