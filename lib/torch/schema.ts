/**
 * Operator schemas as the dispatcher prints them, for example
 * `aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`.
 * Also used by scripts/generate: this module must import nothing that opens libtorch.
 */
import { type Words, wordsOf } from './enumerations.js';

/** What a parameter takes; `Optional`, lists and aliases are apart. */
export type Kind =
  | 'Tensor'
  | 'int'
  | 'float'
  | 'bool'
  | 'str'
  | 'Scalar'
  | 'ScalarType'
  | 'Layout'
  | 'MemoryFormat'
  | 'Device'
  | 'Generator'
  | 'unsupported';

export interface SchemaType {
  readonly kind: Kind;
  /** The type as printed, without alias marks. */
  readonly text: string;
  readonly list: boolean;
  /** Elements of a list of fixed length, which one number may stand for. */
  readonly length: number | null;
  /** None is allowed. */
  readonly optional: boolean;
  /** None is allowed inside the list. */
  readonly optionalElements: boolean;
}

export interface Parameter {
  /** As in the schema: `normalized_shape`. */
  readonly name: string;
  /** As in JavaScript: `normalizedShape`. */
  readonly key: string;
  readonly type: SchemaType;
  readonly keywordOnly: boolean;
  readonly hasDefault: boolean;
  readonly defaultText: string | null;
  /** Words for the integers that it takes. */
  readonly words: Words | null;
  /** Letter of the alias set, where the operator writes to the argument. */
  readonly writes: string | null;
}

export interface Return {
  readonly name: string | null;
  readonly type: SchemaType;
  /** Letter of the alias set, where the result is one of the arguments. */
  readonly writes: string | null;
}

export interface Schema {
  readonly namespace: string;
  readonly name: string;
  readonly overload: string;
  readonly parameters: readonly Parameter[];
  readonly returns: readonly Return[];
  readonly text: string;
}

const kinds: Record<string, Kind> = {
  Tensor: 'Tensor',
  int: 'int',
  SymInt: 'int',
  float: 'float',
  SymFloat: 'float',
  bool: 'bool',
  SymBool: 'bool',
  str: 'str',
  // A process group, by its name.
  Any: 'str',
  Scalar: 'Scalar',
  number: 'Scalar',
  ScalarType: 'ScalarType',
  Layout: 'Layout',
  MemoryFormat: 'MemoryFormat',
  Device: 'Device',
  Generator: 'Generator',
};

/** `layer_norm` as `layerNorm`; leading and trailing underscores stay. */
export function camelCase(name: string): string {
  return name.replace(/(?<=[^_])_+([^_])/g, (_, next: string) => next.toUpperCase());
}

/** Parses a schema; null where its form is foreign (function types, tuples as arguments). */
export function parseSchema(text: string): Schema | null {
  const match = /^(\w+)::(\w+)(?:\.(\w+))?\((.*)\) -> (.*)$/s.exec(text.trim());
  if (match === null) return null;
  const [, namespace, name, overload = '', argumentText, returnText] = match as unknown as string[];
  const parameters: Parameter[] = [];
  let keywordOnly = false;
  for (const part of splitTop(argumentText!)) {
    if (part === '*') {
      keywordOnly = true;
      continue;
    }
    const parameter = parseParameter(part, name!, keywordOnly);
    if (parameter === null) return null;
    parameters.push(parameter);
  }
  const returns = returnParts(returnText!).map(parseReturn);
  return { namespace: namespace!, name: name!, overload, parameters, returns, text: text.trim() };
}

/** True where results are written into keyword-only tensors: `add.out`. */
export function isOutVariant(schema: Schema): boolean {
  return schema.parameters.some(({ keywordOnly, writes }) => keywordOnly && writes !== null);
}

/** The first part of a schema that JavaScript has no form for, or null. */
export function unsupportedType(schema: Schema): string | null {
  const types = [...schema.parameters, ...schema.returns].map(({ type }) => type);
  return types.find(({ kind }) => kind === 'unsupported')?.text ?? null;
}

/**
 * The place of a list that may come as several arguments, `x.reshape(2, 3)` and `torch.blockDiag(a, b)`,
 * or -1: numbers where nothing but a `self` comes beside them, as in Python; tensors where they come last.
 */
export function variadicPlace({ parameters }: Schema): number {
  const positional = parameters.filter(({ keywordOnly }) => !keywordOnly);
  const place = positional.length - 1;
  const last = positional[place];
  if (last === undefined || !last.type.list || last.type.length !== null) return -1;
  if (last.type.kind === 'Tensor')
    return last.hasDefault || last.type.optionalElements ? -1 : place;
  return last.type.kind === 'int' && (place === 0 || (place === 1 && isSelf(positional[0])))
    ? place
    : -1;
}

/** The tensor that a method is called on. */
export function isSelf(parameter: Parameter | undefined): boolean {
  if (parameter === undefined) return false;
  const { kind, list, optional } = parameter.type;
  return parameter.name === 'self' && kind === 'Tensor' && !list && !optional;
}

/** Functions that make a tensor of a given dtype on a given device, and so take `requiresGrad` too. */
export function isFactory({ parameters, returns }: Schema): boolean {
  const has = (name: string) => parameters.some((p) => p.keywordOnly && p.name === name);
  return (
    ['dtype', 'layout', 'device', 'pin_memory'].every(has) &&
    !has('non_blocking') &&
    returns.length === 1 &&
    returns[0]!.type.kind === 'Tensor'
  );
}

const ranks: readonly Kind[] = ['Tensor', 'int', 'float', 'bool', 'ScalarType', 'Scalar'];

/**
 * The order in which overloads are tried: Python's rule (Tensor before Scalar, int before int[]),
 * and of two that agree so far the one with fewer parameters.
 */
export function compareOverloads(a: Schema, b: Schema): number {
  const length = Math.min(a.parameters.length, b.parameters.length);
  for (let i = 0; i < length; i++) {
    const difference = rank(a.parameters[i]!) - rank(b.parameters[i]!);
    if (difference !== 0) return difference;
  }
  return a.parameters.length - b.parameters.length || (a.overload < b.overload ? -1 : 1);
}

function rank({ type, keywordOnly }: Parameter): number {
  if (keywordOnly) return 0;
  const base = ranks.indexOf(type.kind);
  // Strings after lists: conv2d with no padding given is the one with numbers.
  if (base < 0) return 2 * ranks.length;
  return base + (type.list ? ranks.length : 0);
}

function parseParameter(text: string, operator: string, keywordOnly: boolean): Parameter | null {
  const match = /^(.*?)\s+(\w+)(?:=(.*))?$/s.exec(protectArrow(text));
  if (match === null) return null;
  const [, typeText, name, defaultText = null] = match as unknown as [
    string,
    string,
    string,
    string | null,
  ];
  const parsed = parseType(typeText);
  return {
    name,
    key: camelCase(name),
    ...parsed,
    keywordOnly,
    hasDefault: defaultText !== null,
    defaultText,
    words: parsed.type.kind === 'int' ? wordsOf(operator, name) : null,
  };
}

function parseReturn(text: string): Return {
  const match = /^(\S+)(?:\s+(\w+))?$/.exec(protectArrow(text));
  return { name: match?.[2] ?? null, ...parseType(match?.[1] ?? text) };
}

/** `Tensor(a -> *) self`: the blanks in the alias annotation would split type from name wrongly. */
function protectArrow(text: string): string {
  return text.replace(/\(([^()]*)\)/g, (annotation) => annotation.replaceAll(' ', ''));
}

function parseType(text: string): { type: SchemaType; writes: string | null } {
  const writes = /\((\w)[^()]*!\)/.exec(text)?.[1] ?? null;
  const plain = text.replace(/\([a-z*][^()]*\)/g, '');
  const match = /^(\w+)(\?)?(?:\[(\d*)\])?(\?)?$/.exec(plain);
  const kind = match === null ? undefined : kinds[match[1]!];
  const list = match?.[3] !== undefined;
  return {
    writes,
    type: {
      kind: kind ?? 'unsupported',
      text: plain,
      list,
      length: list && match?.[3] ? Number(match[3]) : null,
      optional: list ? match?.[4] === '?' : match?.[2] === '?',
      optionalElements: list && match?.[2] === '?',
    },
  };
}

function returnParts(text: string): string[] {
  return text.startsWith('(') && text.endsWith(')') ? splitTop(text.slice(1, -1)) : [text];
}

/** Splits at commas outside brackets and quotes. */
function splitTop(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let quoted = false;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    const character = text[i];
    if (character === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (character === '[' || character === '(') depth += 1;
    else if (character === ']' || character === ')') depth -= 1;
    else if (i === text.length || (character === ',' && depth === 0)) {
      const part = text.slice(start, i).trim();
      if (part !== '') parts.push(part);
      start = i + 1;
    }
  }
  return parts;
}
