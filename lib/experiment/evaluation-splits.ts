/** Lists that can be evaluated on. */
export const EVALUATION_SPLITS = ['val', 'test'] as const;

export type EvaluationSplit = (typeof EVALUATION_SPLITS)[number];
