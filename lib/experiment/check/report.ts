import type { Choice } from '../config/follow-data.js';

/** What `m3l check` found; plain JSON. */
export interface CheckReport {
  name: string;
  classes: string[];
  splits: Record<SplitName, SplitReport | null>;
  findings: Finding[];
  /** What the configuration leaves open, as training would choose it. */
  chosen: Choice[];
  /** The contact sheet; null where none was asked for. */
  sheet: string | null;
  seconds: number;
}

export const splitNames = ['labelled', 'unlabelled', 'val', 'test'] as const;
export type SplitName = (typeof splitNames)[number];

/** What was found of one split. */
export interface SplitReport {
  scenes: number;
  /** Scenes of which every file could be used. */
  usable: number;
  /** Sizes of the first modality, the most frequent first. */
  sizes: { height: number; width: number; scenes: number }[];
  /** Null for scenes without labels. */
  labels: LabelReport | null;
  modalities: ModalityReport[];
}

export interface LabelReport {
  pixels: number;
  void: number;
  /** Pixels of each class, and in how many scenes it occurs. */
  classes: { index: number; name: string; pixels: number; scenes: number }[];
  /** The values as stored (colours as `#rrggbb`), ascending. */
  stored: { value: number | string; pixels: number }[];
}

export interface ModalityReport {
  name: string;
  /** How its files are stored: `png, 16-bit, 1 channel`, with the number of files. */
  stored: { form: string; files: number }[];
  /** Least and greatest measured raw value over the scenes that were decoded; null where none was. */
  range: { least: number; greatest: number; scenes: number } | null;
}

/** One thing that keeps a configuration from training (`error`), or from training well. */
export interface Finding {
  level: 'error' | 'warning';
  code: string;
  split: SplitName | null;
  message: string;
  /** How many files or scenes it is about; the message names the first. */
  count: number;
}
