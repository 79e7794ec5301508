import { ArgumentError } from './errors.js';
import { brokenRule, type Rules } from './rules.js';

/** @throws ArgumentError that names the first argument that is not what it must be, its value and that */
export function checkArguments<Arguments extends object>(
  where: string,
  args: Arguments,
  rules: Rules<Arguments>,
): void {
  const broken = brokenRule(args, rules);
  if (broken !== null) throw new ArgumentError(`${where}: ${broken}`);
}
