import type { Command } from 'commander';
import type { VerifyResult } from '../../experiment/verify/verify-file.js';
import { device } from '../arguments.js';
import { examples } from '../command-line.js';
import { EXIT, printJson, printResult } from '../output.js';
import { formatTable } from '../table.js';

export function addVerify(program: Command): void {
  program
    .command('verify')
    .description(
      'compute what golden files hold and compare; exit code 1 where a bound is exceeded',
    )
    .argument('<files...>', 'golden files (safetensors)')
    .option('--device <device>', 'cpu, cuda or cuda:N', device, 'cpu')
    .option('--all', 'show every quantity, not only the worst of each group', false)
    .option('--json', 'print the results as JSON', false)
    .addHelpText('after', examples('m3l verify golden/forward.safetensors --all'))
    .action(async (files: string[], options: { device: string; all: boolean; json: boolean }) => {
      const { verifyFile, worstRows } = await import('../../experiment/verify/verify-file.js');
      const results: VerifyResult[] = [];
      for (const file of files) {
        const result = await verifyFile(file, { device: options.device });
        results.push(result);
        if (!options.json)
          printResult(describe(result, options.all ? undefined : worstRows(result.rows)));
      }
      const ok = results.every((result) => result.ok);
      if (options.json) printJson({ ok, results });
      process.exitCode = ok ? EXIT.ok : EXIT.failure;
    });
}

type Row = VerifyResult['rows'][number] & { of?: number };

function describe(result: VerifyResult, rows: readonly Row[] = result.rows): string {
  const verdict = !result.supported ? result.note : result.ok ? 'passed' : 'FAILED';
  const title = `${result.file} (${result.kind}): ${verdict}`;
  if (rows.length === 0) return title;
  const table = formatTable(
    ['quantity', 'largest relative error', 'bound', ''],
    rows.map(({ name, group, error, bound, ok, of = 1 }) => [
      of > 1 ? `${group}: ${name}, the worst of ${of}` : `${group}: ${name}`,
      error.toExponential(2),
      bound.toExponential(0),
      ok ? 'ok' : 'exceeded',
    ]),
  );
  return `${title}\n${table}\n`;
}
