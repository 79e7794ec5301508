import { checkArguments } from '../../torch/check-arguments.js';
import * as torch from '../../torch/index.js';
import * as is from '../../torch/rules.js';
import { verifyRowShape } from '../rules.js';
import { Comparison, type VerifyRow } from './comparison.js';
import { GoldenFile, UnsupportedError, VerifyError } from './golden-file.js';
import { verifyConvolutional } from './verify-convolutional.js';
import { verifyLinearFusion } from './verify-linear-fusion.js';
import { verifyMetrics } from './verify-metrics.js';
import { verifyOhem } from './verify-ohem.js';
import { verifyTokenFusion } from './verify-token-fusion.js';
import { trajectoryOf } from './verify-trajectory.js';
import { verifyUnifiedRepresentation } from './verify-unified-representation.js';

/** What the comparison with a golden file found. */
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

/** What computes each kind of file. */
const VERIFIERS: Record<string, Verifier> = {
  'channel-exchange': verifyConvolutional('channel-exchange'),
  'cps-trajectory': trajectoryOf('cps'),
  deeplabv3plus: verifyConvolutional('deeplabv3plus'),
  'linear-fusion': verifyLinearFusion,
  'm3l-trajectory': trajectoryOf('m3l'),
  'mean-teacher-modality-dropout-trajectory': trajectoryOf('mean-teacher-modality-dropout'),
  'mean-teacher-trajectory': trajectoryOf('mean-teacher'),
  metrics: verifyMetrics,
  ohem: verifyOhem,
  refinenet: verifyConvolutional('refinenet'),
  'supervised-modality-dropout-trajectory': trajectoryOf('supervised-modality-dropout'),
  'token-fusion': verifyTokenFusion,
  'token-fusion-plain': verifyTokenFusion,
  'unified-representation': verifyUnifiedRepresentation,
  'unified-representation-moddrop': verifyUnifiedRepresentation,
};

/**
 * Computes what a golden file holds through the package's public interface and compares.
 * @throws VerifyError M3L_VERIFY_KIND, M3L_VERIFY_FILE, M3L_VERIFY_SHAPE for a malformed file
 */
export async function verifyFile(
  path: string,
  options: { device?: string } = {},
): Promise<VerifyResult> {
  checkArguments('verifyFile', { path, options }, { path: is.text, options: is.record });
  const { device = 'cpu' } = options;

  return torch.scope(async () => {
    const file = new GoldenFile(path);
    const { kind } = file;
    if (!Object.hasOwn(VERIFIERS, kind)) {
      throw new VerifyError(
        'M3L_VERIFY_KIND',
        `${file.name} is of kind '${kind}': expected one of ${Object.keys(VERIFIERS).join(', ')}.`,
      );
    }
    const verify = VERIFIERS[kind]!;
    const compare = new Comparison();
    try {
      await verify(file, compare, device);
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error;
      const note = error.message;
      return { file: path, kind, supported: false, note, rows: [], ok: false };
    }
    if (compare.rows.length === 0) throw file.malformed('there is nothing to compare');
    return { file: path, kind, supported: true, rows: compare.rows, ok: compare.ok };
  });
}

/** The worst row of each group, and every row that is not ok: what a reader wants of hundreds. */
export function worstRows(rows: readonly VerifyRow[]): (VerifyRow & { of: number })[] {
  checkArguments('worstRows', { rows }, { rows: is.listOf(verifyRowShape) });

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
