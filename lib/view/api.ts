/** What the server tells the page: types alone, which both read. */

/** A run as the list knows it before it is opened. */
export interface RunEntry {
  /** Stands for its folder in links and requests. */
  id: string;
  folder: string;
  /** When something was last written to it, milliseconds since 1970. */
  changed: number;
}

/** What a run is doing, by what its folder holds. */
export type RunState = 'training' | 'finished' | 'stopped' | 'empty' | 'gone';

/** A run in a line. */
export interface RunSummary extends RunEntry {
  framework: string | null;
  model: string | null;
  state: RunState;
  /** Iterations done, and asked for. */
  iteration: number;
  iterations: number | null;
  /** The best of its evaluations, as `m3l runs` tells it. */
  robustMeanIoU: number | null;
  /** What of it cannot be read; the rest is there all the same. */
  problem: string | null;
}

/** Values over iterations, thinned: of each column as many values as `x` has. */
export interface Curves {
  x: number[];
  /** By name: `loss`, `parts.sup`, `learningRate`, `imagesPerSecond`, … */
  columns: Record<string, (number | null)[]>;
}

/** An evaluation of the headline's ensemble. */
export interface EvaluationPoint {
  iteration: number;
  robustMeanIoU: number | null;
  /** mIoU by case: `all`, `rgb missing`, … */
  cases: Record<string, number | null>;
}

/** One case of the latest evaluation. */
export interface CaseReport {
  name: string;
  missing: string[];
  meanIoU: number | null;
  pixelAccuracy: number | null;
  classIoU: (number | null)[];
  calibrationError?: number | undefined;
  reliability?: ReliabilityBin[] | undefined;
}

export interface ReliabilityBin {
  pixels: number;
  confidence: number | null;
  accuracy: number | null;
}

/** The latest evaluation, whole: the headline network's heads. */
export interface LatestEvaluation {
  iteration: number;
  images: number | null;
  classes: string[];
  heads: { head: string; robustMeanIoU: number | null; cases: CaseReport[] }[];
}

/** What an event stream of runs sends of one: all of it (`whole`), or what came after the last. */
export interface RunUpdate {
  id: string;
  whole: boolean;
  summary: RunSummary;
  train: Curves;
  health: Curves;
  evaluations: EvaluationPoint[];
  latest: LatestEvaluation | null;
}

/** A run's configuration, flat. */
export interface RunConfig {
  /** By dotted key. */
  values: Record<string, string>;
  problem: string | null;
}

/** How a model falls off, of a run's robustness.json. */
export interface RobustnessCurve {
  corruption: string;
  modalities: string[];
  worst: string;
  points: { severity: number; meanIoU: number | null }[];
}

export interface RunRobustness {
  curves: RobustnessCurve[];
  checkpoint: string | null;
  images: number | null;
}

/** What scenes there are to look at, of a run or of a configuration. */
export interface SceneSet {
  classes: string[];
  /** `#rrggbb` of each class. */
  colours: string[];
  modalities: { name: string; kind: string }[];
  names: string[];
  labelled: boolean;
  /** Name of the checkpoint that predicts; null where there is none. */
  checkpoint: string | null;
}

/** Counts of [label][prediction] so far. */
export interface ConfusionProgress {
  done: number;
  images: number;
  counts: number[][];
}

/** What the page is to show at first. */
export interface Home {
  kind: 'runs' | 'data';
  /** Where runs are looked for. */
  where: string;
  version: string;
}

/** The data of a configuration. */
export interface DataHome {
  name: string;
  classes: string[];
  colours: string[];
  modalities: { name: string; kind: string }[];
  splits: { name: string; scenes: number; labelled: boolean }[];
  chosen: { key: string; value: string; why: string }[];
}

/** A stretch of a list of scenes. */
export interface SceneNames {
  from: number;
  names: string[];
}
