// The command line's help loads this: nothing that knows a tensor is imported.
import { requireIterable } from '../torch/require.js';

/** What a room can be seen with, and what its values mean. In this order in lists. */
export const ROOM_SENSORS = {
  rgb: { kind: 'rgb' },
  depth: { kind: 'depth', invalid: 0 },
  normals: { kind: 'rgb' },
  thermal: { kind: 'grey' },
} as const;

/** Name of a sensor that a room is seen with. */
export type RoomSensor = keyof typeof ROOM_SENSORS;

/** Those that rooms are seen with only where they are asked for. */
export const FURTHER_SENSORS = ['normals', 'thermal'] as const satisfies RoomSensor[];

/** The sensors that rooms are written with: colour, depth and what was asked for, in their order. */
export function roomSensors(asked: readonly RoomSensor[] = []): RoomSensor[] {
  requireIterable(asked, 'roomSensors');
  const all = new Set(asked);
  return ['rgb', 'depth', ...FURTHER_SENSORS.filter((name) => all.has(name))];
}
