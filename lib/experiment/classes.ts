import { type Colour, classColours, STANFORD_CLASSES } from '../data/index.js';
import type { Config } from './config/config.js';

/** The class names of a configuration, without opening its data. */
export function classNames({ data }: Pick<Config, 'data'>): string[] {
  return data.classes ?? [...STANFORD_CLASSES.names];
}

/** The colours of its pictures: its own, or those that its classes are known by. */
export function paletteOf(config: Config): Colour[] {
  return config.data.palette ?? classColours(classNames(config));
}
