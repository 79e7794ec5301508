/** The values of nested objects, by their keys with dots; lists are values. */
export function entriesOf(value: unknown, prefix = ''): [key: string, value: unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return value === undefined ? [] : [[prefix, value]];
  }
  return Object.entries(value).flatMap(([key, entry]) =>
    entriesOf(entry, prefix === '' ? key : `${prefix}.${key}`),
  );
}

/** The keys of a configuration with dots, and their values as JSON. */
export function flattened(value: unknown): Map<string, string> {
  return new Map(entriesOf(value).map(([key, entry]) => [key, JSON.stringify(entry)]));
}
