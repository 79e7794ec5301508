/**
 * libtorch's `_foreach_` operators, which take whole lists of tensors in a call: those that
 * optimizers are written in. A name that ends in `_` writes its first list.
 */
import type { Tensor } from '../torch/index.js';
import { ops } from '../torch/ops.js';

type List = readonly Tensor[];
type Functional = (self: List, ...args: unknown[]) => Tensor[];
type InPlace = (self: List, ...args: unknown[]) => void;

// Looked up when called: importing this package needs no libtorch.
const functional =
  (name: string): Functional =>
  (...args) =>
    ops.aten![`_foreach_${name}`]!(...args) as Tensor[];
const inPlace =
  (name: string): InPlace =>
  (...args) =>
    void ops.aten![`_foreach_${name}_`]!(...args);

export const neg: (self: List) => Tensor[] = functional('neg');
export const abs: (self: List) => Tensor[] = functional('abs');
export const sqrt: (self: List) => Tensor[] = functional('sqrt');
export const sqrt_: (self: List) => void = inPlace('sqrt');
/** self + alpha · other, by a list or a number. */
export const add: (self: List, other: List | number, options?: { alpha: number }) => Tensor[] =
  functional('add');
export const add_: (self: List, other: List | number, options?: { alpha: number }) => void =
  inPlace('add');
export const mul: (self: List, other: List | number | number[]) => Tensor[] = functional('mul');
export const mul_: (self: List, other: List | number | number[]) => void = inPlace('mul');
export const div_: (self: List, other: List | number | number[]) => void = inPlace('div');
export const maximum_: (self: List, other: List) => void = inPlace('maximum');
/** self + weight · (end − self). */
export const lerp_: (self: List, end: List, weight: number) => void = inPlace('lerp');
/** self + value · a · b. */
export const addcmul: (self: List, a: List, b: List, value: number) => Tensor[] =
  functional('addcmul');
export const addcmul_: (self: List, a: List, b: List, value: number) => void = inPlace('addcmul');
/** self + value · a / b, by one number or one for each tensor. */
export const addcdiv_: (self: List, a: List, b: List, value: number | number[]) => void =
  inPlace('addcdiv');
