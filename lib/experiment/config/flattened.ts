/** The keys of a configuration with dots, and their values as JSON. */
export function flattened(value: unknown, prefix = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new Map(value === undefined ? [] : [[prefix, JSON.stringify(value)]]);
  }
  return new Map(
    Object.entries(value).flatMap(([key, entry]) => [
      ...flattened(entry, prefix === '' ? key : `${prefix}.${key}`),
    ]),
  );
}
