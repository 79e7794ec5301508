import { PAUSE, type Reading } from './files/source.js';

/** What takes a few milliseconds. */
const CHARACTERS_AT_ONCE = 1 << 16;

/**
 * `JSON.parse` for files of unknown origin, after one look at the text: where it names a key twice
 * JSON.parse keeps the last, and what is nested deep takes memory, then the stack of whoever
 * walks it.
 *
 * @param depth how deep objects and lists may lie in each other
 * @throws Error saying what is wrong with the text
 */
export function* parseStrictJson(text: string, depth: number): Reading<unknown> {
  const open: (Set<unknown> | null)[] = [];
  let string = '';
  let pause = CHARACTERS_AT_ONCE;
  for (let at = 0; at < text.length; at++) {
    if (at >= pause) {
      pause = at + CHARACTERS_AT_ONCE;
      yield PAUSE;
    }
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at);
        string = text.slice(at, end);
        at = end - 1;
        break;
      }
      case '{':
      case '[':
        open.push(text[at] === '{' ? new Set() : null);
        if (open.length > depth) throw new Error(`it is nested deeper than ${depth} levels`);
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ':': {
        const keys = open.at(-1);
        const key = JSON.parse(string);
        if (keys?.has(key)) throw new Error(`it names ${string.slice(0, 100)} twice`);
        keys?.add(key);
      }
    }
  }
  return JSON.parse(text);
}

/** The position after the closing quote of a string that starts at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}
