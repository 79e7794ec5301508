import type { Choice } from './config/follow-data.js';

/** What was chosen, a line each. */
export function choicesText(chosen: readonly Choice[]): string {
  const lines = chosen.map(({ key, value, why }) => `  ${key}: ${JSON.stringify(value)} (${why})`);
  return ['Chosen, as the configuration leaves it open:', ...lines].join('\n');
}
