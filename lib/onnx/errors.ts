import { M3lError } from '../torch/index.js';

/** A computation that cannot be written as ONNX; `code` is M3L_ONNX. */
export class OnnxError extends M3lError {
  constructor(message: string) {
    super('M3L_ONNX', message);
    this.name = 'OnnxError';
  }
}
