/** What `data` may say beside `data.rooms`. */

import { classOf, type LabelRule, NO_CLASS, STANFORD_CLASSES } from '../../data/index.js';
import { ROOM_SENSORS, type RoomSensor } from '../../rooms/index.js';
import type { Complain } from './fit.js';
import type { CheckedConfig } from './schema.js';

type Modalities = CheckedConfig['data']['modalities'];

/**
 * The modalities that a configuration names, in the rooms' order and with what is known of them, such
 * as which depths are holes.
 */
export function roomsModalities(data: CheckedConfig['data'], complain: Complain): Modalities {
  for (const key of ['root', 'lists', 'files'] as const) {
    if (data[key] !== undefined) {
      complain(
        `data.${key}`,
        "has no meaning beside 'data.rooms'; remove one of the two (null removes an inherited one).",
      );
    }
  }
  if (data.classes !== undefined && data.labels === undefined) {
    complain(
      'data.classes',
      `is given beside 'data.rooms', whose classes are known (${STANFORD_CLASSES.names.join(', ')}); remove it, or say in data.labels.map which class each of them is, by its number from 0.`,
    );
  }
  for (const [name, { kind }] of Object.entries(data.modalities)) {
    if (Object.hasOwn(ROOM_SENSORS, name) && ROOM_SENSORS[name as RoomSensor].kind === kind) {
      continue;
    }
    const known = Object.entries(ROOM_SENSORS).map(([sensor, one]) => `'${sensor}' (${one.kind})`);
    complain(
      'data.modalities',
      `found '${name}' of kind '${kind}', but rooms have ${known.join(', ')}. Leave it out, or name files instead of rooms.`,
    );
  }
  return Object.fromEntries(
    Object.entries(ROOM_SENSORS).flatMap(([name, known]) => {
      const own = data.modalities[name];
      return own === undefined ? [] : [[name, { ...known, ...own }]];
    }),
  );
}

/** @throws Error that names a class of the rooms that the rule makes nothing of */
export function checkRoomsLabels(rule: LabelRule): void {
  const lost = STANFORD_CLASSES.names.flatMap((name, raw) =>
    classOf(raw, rule) === NO_CLASS ? [`${raw} (${name})`] : [],
  );
  if (lost.length === 0) return;
  throw new Error(
    `${lost.join(', ')} of the rooms become no class. List them in labels.map, or in labels.void ('others': all that map does not list).`,
  );
}
