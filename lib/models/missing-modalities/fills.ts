/**
 * What stands in for a missing modality of a model without a mask token (m3l.md section 4):
 * - `zeros`: 0 in the normalised input;
 * - `noise`: U[0, 1) in the normalised input, three draws a pixel for RGB, one for one channel;
 * - `mean`: 0 for RGB and grey, which is the colour that the normalisation subtracts, ImageNet's mean unless
 *   set otherwise (so the same as `zeros` there); for depth what 0.5 becomes, the middle of its range
 *   before any normalisation of its own.
 */
export const FILLS = ['zeros', 'noise', 'mean'] as const;

/** What stands for a missing modality in a model without mask token; see `FILLS`. */
export type Fill = (typeof FILLS)[number];
