import { depth } from './depth.js';
import { grey } from './grey.js';
import type { ModalityKind } from './kind.js';
import { rgb } from './rgb.js';

/** All kinds of modalities, by the names that configurations use. */
export const KINDS = { rgb, depth, grey } as const satisfies Record<string, ModalityKind>;

/** Name of a kind of modality. */
export type KindName = keyof typeof KINDS;

/** Names of the kinds of modalities. */
export const KIND_NAMES = Object.keys(KINDS) as [KindName, ...KindName[]];
