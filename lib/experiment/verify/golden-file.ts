import { basename } from 'node:path';
import type { z } from 'zod';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';

/** A golden file that cannot be verified: malformed, incomplete, or of an unknown kind. */
export class VerifyError extends torch.M3lError {}

/** A golden file of something that this version cannot compute. */
export class UnsupportedError extends VerifyError {
  /** @param what of the file, where its kind is not enough to say it */
  constructor(what?: string) {
    super(
      'M3L_VERIFY_UNSUPPORTED',
      what === undefined ? 'not supported yet' : `${what}: not supported yet`,
    );
  }
}

/** A safetensors file of golden values: tensors by name, facts about the case in the metadata. */
export class GoldenFile {
  readonly name: string;
  readonly kind: string;
  readonly #tensors: Record<string, Tensor>;
  readonly #metadata: Record<string, string>;

  /** Reads the file into the current scope, on the CPU. */
  constructor(path: string) {
    this.name = basename(path);
    const { tensors, metadata } = torch.loadSafetensors(path);
    this.#tensors = tensors;
    this.#metadata = metadata;
    if (metadata.kind === undefined) {
      throw new VerifyError(
        'M3L_VERIFY_KIND',
        `${this.name} has no 'kind' in its metadata: expected a file of golden values. ` +
          'Checkpoints and other safetensors files cannot be verified.',
      );
    }
    this.kind = metadata.kind;
  }

  /** Names of the tensors, in the file's order. */
  get names(): string[] {
    return Object.keys(this.#tensors);
  }

  /** What follows `prefix` in the names that start with it. */
  under(prefix: string): string[] {
    return this.names.flatMap((name) =>
      name.startsWith(prefix) ? [name.slice(prefix.length)] : [],
    );
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#tensors, name);
  }

  /** @throws VerifyError M3L_VERIFY_FILE where the tensor is missing. */
  tensor(name: string): Tensor {
    const found = this.#tensors[name];
    if (found) return found;
    throw this.malformed(`the tensor '${name}' is missing`);
  }

  /** A tensor of one element as a number. */
  scalar(name: string): number {
    const tensor = this.tensor(name);
    if (tensor.numel() === 1) return tensor.item();
    throw this.malformed(`'${name}' has shape [${tensor.shape}], expected one element`);
  }

  /** The metadata, checked: values that are JSON are parsed, others are strings. */
  facts<Schema extends z.ZodType>(schema: Schema): z.output<Schema> {
    const found = Object.fromEntries(
      Object.entries(this.#metadata).map(([key, value]) => [key, parsed(value)]),
    );
    const result = schema.safeParse(found);
    if (result.success) return result.data;
    const issues = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw this.malformed(`its metadata do not fit: ${issues.join('; ')}`);
  }

  malformed(what: string): VerifyError {
    return new VerifyError(
      'M3L_VERIFY_FILE',
      `${this.name} (kind '${this.kind}'): ${what}. Expected the format of golden files; ` +
        'copy or compute the file again.',
    );
  }
}

/** JSON with NaN allowed, as Python writes it; anything else stays a string. */
function parsed(value: string): unknown {
  try {
    return JSON.parse(value.replace(/\bNaN\b/g, 'null'));
  } catch {
    return value;
  }
}
