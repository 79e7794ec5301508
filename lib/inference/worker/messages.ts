/**
 * What goes between a model in a worker and the thread that asks it. A tensor is shared only while the
 * other side is there to receive it, since either may be terminated: the thread is sent something once
 * it says that it is ready, and hands a result over once it is asked to.
 */
import type { PortableError } from '../../torch/portable-error.js';
import type { Parcel } from './parcel.js';

/** Make the model, or call one of its methods; then take or leave what came out. */
export type Request =
  | { readonly module: string; readonly factory: string; readonly data: Parcel }
  | { readonly method: string; readonly args: Parcel }
  | { readonly take: boolean };

export type Reply =
  /** The thread has started. */
  | 'ready'
  /** The result is there, to be taken or left. */
  | 'done'
  | { readonly result: Parcel }
  | { readonly error: PortableError; readonly stack: string };
