/** ONNX models of what is computed with tensors. */
export { OnnxError } from './errors.js';
export { ONNX_OPSET, type OnnxOptions, type OnnxSummary, onnxModel, saveOnnx } from './export.js';
export { onnxOperators } from './operators/registry.js';
