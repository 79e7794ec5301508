/** What a room can be seen with, and what its values mean. In this order in lists. */
export const ROOM_SENSORS = {
  rgb: { kind: 'rgb' },
  depth: { kind: 'depth', invalid: 0 },
  normals: { kind: 'rgb' },
  thermal: { kind: 'grey' },
} as const;

export type RoomSensor = keyof typeof ROOM_SENSORS;

/** The sensors that rooms are written with: colour, depth and what was asked for, in their order. */
export function roomSensors(asked: readonly RoomSensor[] = []): RoomSensor[] {
  const all = Object.keys(ROOM_SENSORS) as RoomSensor[];
  return all.filter((name) => name === 'rgb' || name === 'depth' || asked.includes(name));
}
