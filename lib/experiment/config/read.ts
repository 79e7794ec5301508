import { readFileSync, statSync } from 'node:fs';
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { ConfigError, reasonOf, systemCode } from '../errors.js';
import { packagedConfigs } from './packaged.js';
import { isRecord } from './shape.js';

/** What a hostile or mistaken file may at most come to. */
const MOST_BYTES = 1024 * 1024;
const MOST_DEPTH = 32;
const MOST_VALUES = 200_000;
/** Brackets open at a time, before it is known which of them stand in a text or a comment. */
const MOST_OPEN = 1000;

/** A YAML text as plain values, and the line (from 1) of every key, by its `pathKey`. */
export interface Parsed {
  value: unknown;
  lines: Map<string, number>;
}

/** A path of keys as one text. */
export function pathKey(path: readonly PropertyKey[]): string {
  return path.map(String).join('\0');
}

/**
 * Reads a configuration's text: UTF-8, or UTF-16 with a byte order mark.
 *
 * @throws ConfigError M3L_CONFIG_MISSING, M3L_CONFIG_SYNTAX
 */
export function readText(file: string): string {
  let bytes: Buffer;
  try {
    const stats = statSync(file);
    if (!stats.isFile()) {
      const kind = stats.isDirectory() ? 'a folder' : 'no regular file';
      throw new ConfigError(
        'M3L_CONFIG_MISSING',
        `${file} is ${kind}; expected a YAML configuration.`,
      );
    }
    if (stats.size > MOST_BYTES) {
      throw new ConfigError(
        'M3L_CONFIG_SYNTAX',
        `${file} has ${stats.size} bytes, expected at most ${MOST_BYTES}. Is it a configuration?`,
      );
    }
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const reason =
      systemCode(error) === 'ENOENT'
        ? `${file} does not exist`
        : `${file} cannot be read: ${reasonOf(error)}`;
    throw new ConfigError(
      'M3L_CONFIG_MISSING',
      `${reason}; expected a YAML configuration, or one of the package by its name: ${packagedConfigs().join(', ')}.`,
    );
  }
  const source = decode(bytes, file);
  const nul = source.indexOf('\0');
  if (nul >= 0) {
    const line = source.slice(0, nul).split('\n').length;
    throw syntax(`${file}:${line}`, 'found a NUL character. Save the file as UTF-8 text.');
  }
  return source;
}

function decode(bytes: Buffer, file: string): string {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe
      ? 'utf-16le'
      : first === 0xfe && second === 0xff
        ? 'utf-16be'
        : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw syntax(file, `is not ${encoding.toUpperCase()} text. Save it as UTF-8.`);
  }
}

/**
 * Parses YAML into plain records, lists and values: anchors, aliases and merge keys resolved, and
 * nothing in it that a prototype has.
 *
 * @param place names the text in messages
 * @throws ConfigError M3L_CONFIG_SYNTAX with the line
 */
export function parseText(source: string, place: string): Parsed {
  const counter = new LineCounter();
  const lineOf = (offset: number | undefined) => counter.linePos(offset ?? 0).line;
  if (opens(source) > MOST_OPEN) throw syntax(place, TOO_DEEP);
  // Its own search for keys that stand twice takes quadratic time.
  const options = { lineCounter: counter, prettyErrors: false, uniqueKeys: false };
  const document = parseDocument(source, options);
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    const line = lineOf(problem.pos[0]);
    throw syntax(`${place}:${line}`, mended(problem, source.split('\n')[line - 1] ?? ''));
  }
  return new Reader(document.contents, place, lineOf).read();
}

function opens(source: string): number {
  let [open, most] = [0, 0];
  for (const [bracket] of source.matchAll(/[[\]{}]/g)) {
    open = bracket === '[' || bracket === '{' ? open + 1 : Math.max(0, open - 1);
    most = Math.max(most, open);
  }
  return most;
}

const TOO_DEEP = `is nested more than ${MOST_DEPTH} levels deep. A configuration needs some five.`;

function mended({ code, message }: { code: string; message: string }, line: string): string {
  if (code === 'RESOURCE_EXHAUSTION') return TOO_DEEP;
  if (code === 'MULTIPLE_DOCS') return "holds several documents ('---'); expected one.";
  const hint = /[^\s'"{}[\],:]\{\w+\}/.exec(line) === null ? '' : QUOTE;
  return `is not valid YAML: ${message.trim()}.${hint}`;
}

const QUOTE = ` Between braces a text with { } wants quotes: { red: "red/{name}" }.`;

/** Converts the nodes of a document, within bounds. */
class Reader {
  readonly #lines = new Map<string, number>();
  readonly #open = new Set<Node>();
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Node, Node>();
  /** Whether what is converted now has been before: an alias stands for it. */
  #repeated = false;
  #values = 0;

  constructor(
    private readonly root: Node | null,
    private readonly place: string,
    private readonly lineOf: (offset: number | undefined) => number,
  ) {}

  read(): Parsed {
    return { value: this.#convert(this.root, []), lines: this.#lines };
  }

  #convert(node: unknown, path: readonly string[]): unknown {
    if (node === null || node === undefined) return null;
    const target = this.#target(node as Node);
    if (isScalar(target)) return this.#scalar(target);
    if (path.length >= MOST_DEPTH) throw this.#error(target, TOO_DEEP);
    if (this.#open.has(target)) {
      throw this.#error(node as Node, 'an alias stands inside its own anchor.');
    }
    const repeated = this.#repeated;
    this.#repeated ||= isAlias(node);
    this.#open.add(target);
    try {
      if (isSeq(target)) {
        return target.items.map((item, index) => this.#convert(item, [...path, String(index)]));
      }
      if (isMap(target)) return this.#record(target, path);
    } finally {
      this.#open.delete(target);
      this.#repeated = repeated;
    }
    throw this.#error(target, 'is not understood.');
  }

  /** The node, or what an alias stands for; counted, as aliases of aliases grow exponentially. */
  #target(node: Node): Node {
    if (++this.#values > MOST_VALUES) {
      throw this.#error(node, `comes to more than ${MOST_VALUES} values, aliases counted.`);
    }
    if (!isAlias(node)) {
      const { anchor } = node as { anchor?: string };
      if (anchor !== undefined && !this.#repeated) this.#anchors.set(anchor, node);
      return node;
    }
    // An alias means the last anchor before it, also where it is met again later.
    const target = this.#targets.get(node) ?? this.#anchors.get(node.source);
    if (target !== undefined) {
      this.#targets.set(node, target);
      return target;
    }
    throw this.#error(
      node,
      `the alias *${node.source} has no anchor &${node.source} above it. Quote a text that begins with *.`,
    );
  }

  #scalar(node: Scalar): unknown {
    const { value } = node;
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return value;
    throw this.#error(
      node,
      `found ${node.tag ?? typeof value}, expected text, a number or true/false.`,
    );
  }

  #record(map: YAMLMap, path: readonly string[]): Record<string, unknown> {
    const own: Record<string, unknown> = {};
    const merged: Record<string, unknown> = {};
    const notes: (() => void)[] = [];
    for (const pair of map.items) {
      const key = this.#key(pair);
      if (key === '<<') {
        // Of several, the earlier wins; the map's own keys win over all.
        for (const source of this.#merged(pair, path).reverse()) Object.assign(merged, source);
      } else {
        if (Object.hasOwn(own, key)) {
          throw this.#error(pair.key as Node, `the key '${key}' stands twice. Remove one.`);
        }
        own[key] = this.#convert(pair.value, [...path, key]);
        notes.push(() => this.#note(pair.key as Node, [...path, key]));
      }
    }
    // After the merged ones have noted theirs.
    for (const note of notes) note();
    return { ...merged, ...own };
  }

  #merged({ key, value }: Pair, path: readonly string[]): Record<string, unknown>[] {
    const found = this.#convert(value, path);
    const sources = Array.isArray(found) ? found : [found];
    if (sources.every(isRecord)) return sources;
    throw this.#error(key as Node, "expected '<<' to name a map, or a list of maps.");
  }

  #key({ key }: Pair): string {
    const node = isAlias(key) ? this.#target(key) : key;
    const value = isScalar(node) ? node.value : undefined;
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw this.#error(key as Node, 'found a key that is no text. Is a quote missing?');
    }
    const name = String(value);
    if (isForbidden(name))
      throw this.#error(key as Node, `'${name}' cannot be a key. Choose another name.`);
    return name;
  }

  #note(node: Node, path: readonly string[]): void {
    this.#lines.set(pathKey(path), this.lineOf(node.range?.[0]));
  }

  #error(node: Node | null, message: string): ConfigError {
    return syntax(`${this.place}:${this.lineOf(node?.range?.[0])}`, message);
  }
}

/** Names that every object has: as a key they would reach its prototype. */
export function isForbidden(key: string): boolean {
  return key === 'prototype' || key in Object.prototype;
}

function syntax(place: string, message: string): ConfigError {
  return new ConfigError('M3L_CONFIG_SYNTAX', `${place}: ${message}`);
}
