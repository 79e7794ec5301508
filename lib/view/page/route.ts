import { useEffect, useState } from 'preact/hooks';

/** Where the page is: what stands after `#` in its address, so that every view has a link. */
export interface Route {
  path: string[];
  query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const parts = path.split('/').filter((part) => part !== '');
  return { path: parts.map(decoded), query: new URLSearchParams(query) };
}

/** Of what somebody typed, too. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function linkTo(path: readonly string[], query: Readonly<Record<string, string>> = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== '');
  const text = new URLSearchParams(given).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`;
}

/** Runs side by side. */
export const MOST_RUNS = 8;

/** Runs in a link: commas may be part of a name, and are written twice then. */
export const joinIds = (ids: readonly string[]) =>
  ids.map((id) => id.replaceAll(',', ',,')).join(', ');

export const splitIds = (text: string) =>
  text.split(/(?<!,), /).map((id) => id.replaceAll(',,', ','));

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const change = () => setHash(location.hash);
    addEventListener('hashchange', change);
    return () => removeEventListener('hashchange', change);
  }, []);
  return parseRoute(hash);
}

/** Another link for the same page, without a step back to the one before. */
export function replaceRoute(link: string): void {
  if (link === location.hash) return;
  history.replaceState(null, '', link);
  dispatchEvent(new HashChangeEvent('hashchange'));
}
