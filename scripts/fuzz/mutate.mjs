// Seeded mutations of valid files: the same seed and case give the same bytes.

const EXTREMES = [
  0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
];

const TOKENS = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"',
    "'",
    '#',
    '\n',
    '\r\n',
    '\t',
    ' ',
    '\0',
    '\ufeff',
    '-',
    '|',
  ],
  ...['__proto__', 'constructor', 'toString', 'null', 'true', '~', '../', '/dev/zero', '\\u0000'],
  ...[
    '&a',
    '*a',
    '<<: *a',
    '!!binary',
    `\${HOME}`,
    `\${A:-\${B}}`,
    '$&',
    '1e400',
    '-1',
    'NaN',
    '.inf',
  ],
  ...['9007199254740993', '18446744073709551616', '4294967296', '100000000', '0x10', '0.1', 'é'],
];

/** Numbers from 0 to 1 that a seed and a position give (splitmix32). */
export class Random {
  constructor(...seeds) {
    this.state = seeds.reduce((hash, seed) => Math.imul(hash ^ seed, 0x9e3779b1) + 0x7f4a7c15, 0);
  }

  next() {
    this.state = (this.state + 0x9e3779b9) | 0;
    let x = this.state;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  }

  below(count) {
    return Math.floor(this.next() * count);
  }

  pick(list) {
    return list[this.below(list.length)];
  }
}

/** @type {((bytes: Buffer, random: Random) => Buffer)[]} */
const binary = [
  (bytes, random) => {
    const changed = Buffer.from(bytes);
    changed[random.below(bytes.length)] ^= 1 << random.below(8);
    return changed;
  },
  (bytes, random) => {
    const changed = Buffer.from(bytes);
    const size = random.pick([1, 2, 4]);
    if (bytes.length < size) return changed;
    const at = random.below(bytes.length - size + 1);
    const value = random.pick(EXTREMES) % 2 ** (8 * size);
    if (random.next() < 0.5) changed.writeUIntBE(value, at, size);
    else changed.writeUIntLE(value, at, size);
    return changed;
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  (bytes, random) => {
    const [at, end] = range(bytes, random);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
  },
  (bytes, random) => {
    const [at, end] = range(bytes, random);
    const part = bytes.subarray(at, end);
    const copies = new Array(random.pick([1, 1, 2, 10])).fill(part);
    return Buffer.concat([bytes.subarray(0, end), ...copies, bytes.subarray(end)]);
  },
];

/** @type {((bytes: Buffer, random: Random) => Buffer)[]} */
const text = [
  (bytes, random) => insert(bytes, random, random.pick(TOKENS)),
  (bytes, random) => {
    const [at, end] = range(bytes, random, 12);
    const token = Buffer.from(random.pick(TOKENS));
    return Buffer.concat([bytes.subarray(0, at), token, bytes.subarray(end)]);
  },
  (bytes, random) => {
    const pair = random.pick(['[]', '{}', '""', '[-', '{a: ', '{"a":']);
    const depth = random.pick([3, 200, 20_000]);
    const half = pair.length > 2 ? pair.length : 1;
    const close = pair[0] === '[' ? ']' : pair[0] === '{' ? '}' : '"';
    return insert(bytes, random, pair.slice(0, half).repeat(depth) + close.repeat(depth));
  },
  (bytes, random) => {
    const lines = bytes.toString('latin1').split('\n');
    lines.splice(random.below(lines.length), 0, random.pick(lines));
    return Buffer.from(lines.join('\n'), 'latin1');
  },
];

/** @param {Buffer[]} seeds @param {Random} random @param {boolean} isText */
export function mutate(seeds, random, isText) {
  let bytes = Buffer.from(random.pick(seeds));
  for (let times = 1 + random.below(4); times > 0 && bytes.length > 0; times--) {
    const kinds = isText && random.next() < 0.8 ? text : binary;
    bytes = random.pick(kinds)(bytes, random);
  }
  return bytes;
}

/** Values that no schema foresaw, in the place of any node of a JSON value. */
export function mutateJson(value, random) {
  const hostile = [null, true, 0, -1, 1.5, 1e308, 2 ** 53, '', 'x', '__proto__', [], {}, [[]]];
  const odd = [{ toString: 1 }, ['F32'], { length: 1e9 }, 'x'.repeat(10_000), nested(500)];
  const copy = structuredClone(value);
  const places = [];
  const visit = (node) => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Object.keys(node)) {
      places.push([node, key]);
      visit(node[key]);
    }
  };
  visit(copy);
  for (let times = 1 + random.below(3); times > 0 && places.length > 0; times--) {
    const [node, key] = random.pick(places);
    const kind = random.below(4);
    if (kind === 0) delete node[key];
    else if (kind === 1) node[random.pick(['__proto__x', 'params', 'x', 'lr', '0'])] = node[key];
    else node[key] = random.pick(kind === 2 ? hostile : odd);
  }
  return copy;
}

function nested(depth) {
  let value = 0;
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { a: value };
  return value;
}

function range(bytes, random, longest = 64) {
  const at = random.below(bytes.length);
  return [at, Math.min(bytes.length, at + 1 + random.below(longest))];
}

function insert(bytes, random, token) {
  const at = random.below(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(token), bytes.subarray(at)]);
}
