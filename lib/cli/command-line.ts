import { Command, type Option } from 'commander';
import { UsageError } from './output.js';

/**
 * Commander's commands, with every mistake a `UsageError` and one rule more: an option's missing
 * value is never made up for by what follows, be it the next option or an argument.
 */
export class CommandLine extends Command {
  override createCommand(name?: string): Command {
    return new CommandLine(name);
  }

  override parseOptions(argv: string[]) {
    return super.parseOptions(spellOut(argv, this.options));
  }

  override error(message: string, options: { code?: string } = {}): never {
    const found = options.code === 'commander.excessArguments' ? ` (${this.args.join(' ')})` : '';
    throw new UsageError(`${message.replace(/^error: /, '')}${found}\nSee: ${this.#path()} --help`);
  }

  /** Commander's, but for what may have taken the argument that is missing. */
  missingArgument(name: string): never {
    const takers = this.options.filter(
      (option) =>
        (option.variadic || option.optional) &&
        this.getOptionValueSource(option.attributeName()) === 'cli',
    );
    const taken =
      takers.length === 0
        ? ''
        : ` (what follows ${takers.map(({ long }) => long).join(' or ')} is its value: put <${name}> first)`;
    this.error(`missing required argument '${name}'${taken}`);
  }

  #path(): string {
    const names: string[] = [];
    for (let command: Command | null = this; command !== null; command = command.parent) {
      names.unshift(command.name());
    }
    return names.join(' ');
  }
}

/**
 * The arguments with the values of options tied to them, so that `--set a=1 b=2 CONFIG` gives `--set`
 * two values and leaves CONFIG, and `--out --json` is refused. Of options with several values,
 * those of the form `<key=value...>` take what holds a '=', others what does not look like a path.
 *
 * @throws UsageError where a value is missing
 */
export function spellOut(argv: readonly string[], options: readonly Option[]): string[] {
  const spelt: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const arg = argv[at]!;
    if (arg === '--') return [...spelt, ...argv.slice(at)];
    const [flag, tied] = split(arg);
    const option = options.find(({ long, short }) => long === flag || short === flag);
    if (!option?.required) {
      if (option?.optional && (tied ?? argv[at + 1]) === '') throw emptyValue(option);
      spelt.push(arg);
      continue;
    }
    const value = tied ?? argv[++at];
    checkValue(option, value, tied !== undefined);
    spelt.push(`${flag}=${value}`);
    while (option.variadic && at + 1 < argv.length && takesMore(option, argv[at + 1]!)) {
      spelt.push(`${flag}=${argv[++at]}`);
    }
  }
  return spelt;
}

/** `--flag=value` in two; the value is undefined where none is tied to the flag. */
function split(arg: string): [string, string | undefined] {
  const equals = arg.startsWith('--') ? arg.indexOf('=') : -1;
  return equals < 0 ? [arg, undefined] : [arg.slice(0, equals), arg.slice(equals + 1)];
}

function checkValue(option: Option, value: string | undefined, tied: boolean): void {
  const needs = `option '${option.flags}' needs a value`;
  if (value === undefined) throw new UsageError(`${needs}, and nothing follows it.`);
  if (value === '') throw emptyValue(option);
  if (!tied && looksLikeOption(value)) {
    throw new UsageError(
      `${needs}, found '${value}'. A value that begins with a dash is written ${option.long}=${value}`,
    );
  }
  if (takesPairs(option) && value.indexOf('=') < 1) {
    const form = option.flags.match(/<(.*?)\.*>/)![1];
    throw new UsageError(
      `option '${option.flags}': found '${value}', expected ${form}, for example ${option.long} ${exampleOf(form!)}`,
    );
  }
}

function emptyValue({ flags }: Option): UsageError {
  return new UsageError(`option '${flags}' needs a value, found an empty one.`);
}

function exampleOf(form: string): string {
  return form === 'key=value' ? 'seed=2' : 'depth=depth.png';
}

function takesMore(option: Option, value: string): boolean {
  if (looksLikeOption(value)) return false;
  return takesPairs(option) ? value.includes('=') : !/[/\\.]/.test(value);
}

function takesPairs(option: Option): boolean {
  return option.variadic && option.flags.includes('=');
}

/** A dash and no number: `--json`, `-h`; not `-1`, and not `-` alone. */
function looksLikeOption(value: string): boolean {
  return /^-[^\d.]/.test(value);
}

/** Lines for the end of a command's help. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}
