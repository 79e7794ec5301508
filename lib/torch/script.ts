import { refresh } from './context.js';
import { ArgumentError, describe, M3lError } from './errors.js';
import { core, type NativeScript, type NativeScriptResult } from './native.js';
import { isPlainObject } from './plain-object.js';
import { requireText } from './require.js';
import { Tensor, wrap, wrapOptional } from './tensor.js';

/** What a method of a script takes: as its signature in Python says. */
export type ScriptArgument =
  | Tensor
  | number
  | boolean
  | string
  | null
  | undefined
  | readonly ScriptArgument[];

/** What a method of a script gives: lists and tuples as arrays, dictionaries as Maps. */
export type ScriptResult =
  | Tensor
  | number
  | bigint
  | boolean
  | string
  | null
  | ScriptResult[]
  | Map<ScriptResult, ScriptResult>;

/**
 * A program that Python compiled with `torch.jit.script` or `torch.jit.trace` and saved with
 * `torch.jit.save`. It lives until its object is collected.
 *
 * It is code of whoever wrote the file, and read by libtorch: load only what you trust. A hostile file may
 * keep the process busy without end.
 */
export class ScriptModule {
  readonly #script: NativeScript;

  /** Internal: use `loadScript`. */
  constructor(script: NativeScript) {
    this.#script = script;
  }

  /** Names of its methods. */
  get methods(): string[] {
    return core.scriptMethods(this.#script);
  }

  forward(...args: ScriptArgument[]): ScriptResult {
    return this.call('forward', ...args);
  }

  /** As `forward`, on another thread; the results belong to the scope that awaits them. */
  forwardAsync(...args: ScriptArgument[]): Promise<ScriptResult> {
    return this.callAsync('forward', ...args);
  }

  /** @throws M3lError M3L_ARGUMENT for a method that it has not, or arguments of other types */
  call(method: string, ...args: ScriptArgument[]): ScriptResult {
    requireText(method, 'ScriptModule.call', 'the name of a method');
    const given = args.map(native);
    refresh();
    return wrapped(core.scriptCall(this.#script, method, given));
  }

  async callAsync(method: string, ...args: ScriptArgument[]): Promise<ScriptResult> {
    requireText(method, 'ScriptModule.callAsync', 'the name of a method');
    const result = await core.scriptCallAsync(this.#script, method, args.map(native));
    refresh();
    return wrapped(core.scriptResult(result));
  }

  /** Its parameters and buffers by name: its own, not copies. */
  stateDict(): Record<string, Tensor> {
    refresh();
    return Object.fromEntries(
      core.scriptState(this.#script).map(([name, handle]) => [name, wrap(handle)]),
    );
  }

  train(training = true): this {
    core.scriptTrain(this.#script, training);
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** Moves it to a device: `cpu`, `cuda:0`, … */
  to(device: string): this {
    requireText(device, 'ScriptModule.to', 'a device');
    core.scriptTo(this.#script, device);
    return this;
  }
}

/**
 * Loads what `torch.jit.save` wrote.
 * @param options `device`: where its tensors go; `cpu` without
 * @throws M3lError M3L_TORCHSCRIPT for a file that is none
 */
export function loadScript(path: string, options: { device?: string } = {}): ScriptModule {
  requireText(path, 'loadScript', 'a path');
  if (!isPlainObject(options)) {
    throw new ArgumentError(`loadScript: found ${describe(options)}, expected { device }`);
  }
  try {
    return new ScriptModule(core.scriptLoad(path, options.device ?? 'cpu'));
  } catch (error) {
    if (!(error instanceof M3lError) || error.code !== 'M3L_TORCH') throw error;
    const reason = error.message.split('\n')[0];
    throw new M3lError(
      'M3L_TORCHSCRIPT',
      `${path} cannot be loaded as TorchScript (${reason}); expected a file of torch.jit.save. ` +
        'Weights alone, of torch.save, are for torch.load.',
    );
  }
}

function native(value: unknown): unknown {
  if (value instanceof Tensor) return value.handle;
  if (Array.isArray(value)) return value.map(native);
  return value;
}

function wrapped(result: NativeScriptResult): ScriptResult {
  if (Array.isArray(result)) return result.map(wrapped);
  if (typeof result !== 'object' || result === null) return result;
  if ('tensor' in result) return wrapOptional(result.tensor);
  return new Map(result.pairs.map(([key, value]) => [wrapped(key), wrapped(value)]));
}
