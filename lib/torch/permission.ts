/** What Node's permission model (`node --permission`) forbids, asked before it throws. */

interface Permission {
  has(scope: string, reference?: string): boolean;
}

/** Why `path` may not be read, or null. */
export function readingForbidden(path: string): string | null {
  if (allowed('fs.read', path)) return null;
  return `Node's permission model forbids reading ${path} (--allow-fs-read=${path})`;
}

/** Why no process may be started, or null. */
export function processesForbidden(): string | null {
  if (allowed('child')) return null;
  return "Node's permission model forbids child processes (--allow-child-process)";
}

function allowed(scope: string, reference?: string): boolean {
  return permission()?.has(scope, reference) ?? true;
}

function permission(): Permission | undefined {
  return (process as { permission?: Permission }).permission;
}
