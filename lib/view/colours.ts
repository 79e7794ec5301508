import type { Colour } from '../data/index.js';

/** `#rrggbb` */
export function hexOf(colour: Colour): string {
  return `#${colour.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}
