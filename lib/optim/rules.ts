import { brokenRule, type Rules } from '../torch/rules.js';
import { OptimizerError } from './state.js';

/** @throws {OptimizerError} that names the first option out of range, its value and what it may be */
export function checkRules<Options extends object>(
  where: string,
  options: Options,
  rules: Rules<Options>,
): void {
  const broken = brokenRule(options, rules);
  if (broken !== null) throw new OptimizerError(`${where}: ${broken}`);
}
