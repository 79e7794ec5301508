import * as torch from '../../torch/index.js';
import { Comparison, type VerifyRow } from './comparison.js';
import { GoldenFile, VerifyError } from './golden-file.js';
import { verifyLinearFusion } from './verify-linear-fusion.js';
import { verifyMetrics } from './verify-metrics.js';
import { verifyOhem } from './verify-ohem.js';
import { verifyTrajectory } from './verify-trajectory.js';

export interface VerifyResult {
  file: string;
  kind: string;
  /** False for a kind that this version cannot compute: then there are no rows and `ok` is false. */
  supported: boolean;
  /** What stands for the rows where there are none. */
  note?: string;
  rows: VerifyRow[];
  ok: boolean;
}

type Verifier = (file: GoldenFile, compare: Comparison, device: string) => void | Promise<void>;

const VERIFIERS: Record<string, Verifier | null> = {
  'linear-fusion': verifyLinearFusion,
  'm3l-trajectory': verifyTrajectory,
  metrics: verifyMetrics,
  ohem: verifyOhem,
  'token-fusion': null,
};

/**
 * Computes what a golden file holds through the package's public interface and compares.
 * @throws VerifyError M3L_VERIFY_KIND, M3L_VERIFY_FILE, M3L_VERIFY_SHAPE for a malformed file
 */
export async function verifyFile(
  path: string,
  { device = 'cpu' }: { device?: string } = {},
): Promise<VerifyResult> {
  return torch.scope(async () => {
    const file = new GoldenFile(path);
    const { kind } = file;
    if (!Object.hasOwn(VERIFIERS, kind)) {
      throw new VerifyError(
        'M3L_VERIFY_KIND',
        `${file.name} is of kind '${kind}': expected one of ${Object.keys(VERIFIERS).join(', ')}.`,
      );
    }
    const verify = VERIFIERS[kind];
    if (!verify) {
      return { file: path, kind, supported: false, note: 'not supported yet', rows: [], ok: false };
    }
    const compare = new Comparison();
    await verify(file, compare, device);
    if (compare.rows.length === 0) throw file.malformed('there is nothing to compare');
    return { file: path, kind, supported: true, rows: compare.rows, ok: compare.ok };
  });
}

/** The worst row of each group, and every row that is not ok: what a reader wants of hundreds. */
export function worstRows(rows: readonly VerifyRow[]): (VerifyRow & { of: number })[] {
  const groups = new Map<string, VerifyRow[]>();
  for (const row of rows) {
    const key = `${row.group} ${row.bound}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].flatMap((group) => {
    const failed = group.filter((row) => !row.ok);
    const worst = group.reduce((a, b) => (b.error > a.error ? b : a));
    return (failed.length > 0 ? failed : [worst]).map((row) => ({ ...row, of: group.length }));
  });
}
