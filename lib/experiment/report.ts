import type { HeadResult, RobustResult } from '../evaluation/index.js';

/** What an evaluation of a run found; plain JSON. */
export interface EvaluationReport extends RobustResult {
  framework: string;
  /** Folder of the checkpoint; null while training. */
  checkpoint: string | null;
  /** Iterations trained. */
  iteration: number;
  classes: string[];
}

/** The head that stands for the whole: the teacher's ensemble, or without a teacher the student's. */
export function headline(report: RobustResult): HeadResult {
  const { heads } = report.models.find(({ model }) => model === 'teacher') ?? report.models[0]!;
  return heads.find(({ head }) => head === 'ensemble') ?? heads[0]!;
}
