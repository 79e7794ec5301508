import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { resolveConfig } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { configFolder, ROOMS, refusalOf } from './files.js';

const folder = configFolder();

/** Nine levels of nine aliases: 387,420,489 values. */
const BOMB = Array.from({ length: 9 }, (_, k) => {
  const items = Array.from({ length: 9 }, () => (k === 0 ? 'x' : `*a${k - 1}`));
  return `a${k}: &a${k} [${items}]\n`;
}).join('');

function utf16(text: string, bigEndian = false): Buffer {
  const bytes = Buffer.from(`\ufeff${text}`, 'utf16le');
  return bigEndian ? bytes.swap16() : bytes;
}

/** Within the bounds, and quick. */
const MANY = `${ROOMS.replace('2 }', '&two 2, unlabelled: *two }')}framework: { maskWeights: { ${Array.from(
  { length: 5000 },
  (_, k) => `m${k}: *two`,
)} } }`;

describe('the YAML of a configuration', () => {
  it.each([
    ['an alias without anchor', `${ROOMS}seed: *a\n`, ':2: the alias *a has no anchor'],
    ['an alias inside its anchor', `${ROOMS}seed: &a [*a]\n`, ':2: an alias stands inside'],
    ['a merge inside its anchor', `${ROOMS}batch: &a { <<: *a }\n`, ':2: an alias stands inside'],
    ['an alias bomb', BOMB, 'comes to more than 200000 values'],
    ['deep brackets', `a: ${'['.repeat(5000)}${']'.repeat(5000)}`, 'levels deep'],
    ['deep braces', `a: ${'{a: '.repeat(5000)}${'}'.repeat(5000)}`, 'levels deep'],
    ['deep dashes', `a:\n  ${'- '.repeat(5000)}x`, 'levels deep'],
    ['open brackets', '['.repeat(1_000_000), 'levels deep'],
    ['an open bracket', 'seed: [1', ':1: is not valid YAML'],
    ['a key twice', 'seed: 1\nseed: 2\n', ":2: the key 'seed' stands twice"],
    ['a tab', `data:\n\trooms: {}\n`, ':2: is not valid YAML: Tabs are not allowed'],
    ['a foreign tag', 'seed: !exec 1\n', ':1: is not valid YAML: Unresolved tag: !exec'],
    ['bytes', 'seed: !!binary aGk=\n', ':1:'],
    ['two documents', '--- { seed: 1 }\n--- { seed: 2 }\n', 'several documents'],
    ['a list as key', '? [a]\n: 1\n', ':1: found a key that is no text'],
    ['no merge source', `${ROOMS}batch: { <<: 1 }\n`, ":2: expected '<<' to name a map"],
    ['a NUL', 'seed: 1\nname: a\0b\n', ':2: found a NUL character'],
    ['UTF-16 without its mark', utf16(ROOMS).subarray(2), 'NUL'],
    ['Latin-1', Buffer.from('name: caf\xe9\n', 'latin1'), 'is not UTF-8 text'],
    ['a cut UTF-16', utf16(ROOMS).subarray(0, -1), 'is not UTF-16LE text'],
    ['a large file', `#${' '.repeat(1_100_000)}`, 'expected at most 1048576'],
    ['an unquoted {name}', 'data: { files: { red: red/{name} } }', '{ red: "red/{name}" }'],
    ['__proto__', `${ROOMS}__proto__: { x: 1 }\n`, ":2: '__proto__' cannot be a key"],
    ['a deep __proto__', `${ROOMS}batch: { "__proto__": 1 }\n`, "'__proto__' cannot be a key"],
    ['constructor', `data: { files: { constructor: x } }\n`, "'constructor' cannot be a key"],
    ['toString', `data: { modalities: { toString: rgb } }\n`, "'toString' cannot be a key"],
  ])('01 refuses %s', (_, text, message) => {
    const refusal = folder.refusal(text);
    expect(refusal.message).toContain(message);
    expect(refusal.code).toBe('M3L_CONFIG_SYNTAX');
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it.each([
    ['a byte order mark', `\ufeff${ROOMS}seed: 5\n`],
    ['UTF-16', utf16(`${ROOMS}seed: 5\n`)],
    ['big-endian UTF-16', utf16(`${ROOMS}seed: 5\n`, true)],
    ['an alias of many in a long list', `${ROOMS}batch:\n  labelled: &n 5\nseed: *n\n`],
    ['CRLF', `${ROOMS}seed: 5\n`.replaceAll('\n', '\r\n')],
    ['an alias', `${ROOMS}iterations: &five 5\nseed: *five\n`],
  ])('02 reads %s', (_, text) => {
    expect(resolveConfig(folder.write(text)).seed).toBe(5);
  });

  it('03 merges maps: own keys first, then the earlier source', () => {
    const { optimiser } = folder.read(`
data:
  rooms: { labelled: 2 }
optimiser:
  <<: [{ encoderLr: 1, decoderLr: 2 }, &second { decoderLr: 3, weightDecay: 4 }]
  encoderLr: 5
`);
    expect(optimiser).toMatchObject({ encoderLr: 5, decoderLr: 2, weightDecay: 4 });
    const shared = folder.read(`
data: { rooms: &rooms { labelled: 2, val: 3 } }
evaluate: { every: 1 }
`);
    expect(shared.data.rooms).toMatchObject({ labelled: 2, val: 3 });
    const wrong = folder.refusal(`data:\n  rooms:\n    <<: &a\n      labelled: 0\n    val: 3\n`);
    expect(wrong.message).toContain(':4: data.rooms.labelled: found 0');
  });

  it('05 finds many aliases at once', () => {
    expect(folder.refusal(MANY).message).toContain('framework.maskWeights');
  });

  it('04 refuses what is no regular file', () => {
    const place = join(folder.path(), 'place');
    mkdirSync(place);
    const fifo = join(folder.path(), 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const [file, kind] of [
      [place, 'is a folder'],
      [fifo, 'is no regular file'],
      ['/dev/zero', 'is no regular file'],
      [join(folder.path(), 'absent.yaml'), 'does not exist'],
    ] as const) {
      const { code, message } = refusalOf(() => resolveConfig(file));
      expect([code, message]).toEqual(['M3L_CONFIG_MISSING', expect.stringContaining(kind)]);
    }
  });
});
