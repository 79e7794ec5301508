/**
 * The version of what the native files and this package agree on; binding/interface-version.h has the
 * same number. Raise both whenever a file built before would no longer do: a function, an operator or
 * its schema is gone, takes or gives something else, or a new one is needed.
 */
export const interfaceVersion = 4;

/** Why a native file that says it is of version `found` is not used; null where it is. */
export function versionFault(found: number | undefined): string | null {
  if (found === interfaceVersion) return null;
  const theirs = found === undefined ? 'none' : `version ${found}`;
  return (
    `its native interface is ${theirs}, this m3l needs version ${interfaceVersion}: ` +
    'install the native files of the same release, or build them anew'
  );
}
