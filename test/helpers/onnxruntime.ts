import { createRequire } from 'node:module';

/** What of onnxruntime-node the tests call. */
export interface OnnxRuntime {
  InferenceSession: {
    create(
      model: Uint8Array | string,
      options?: { intraOpNumThreads?: number; logSeverityLevel?: number },
    ): Promise<{
      inputNames: readonly string[];
      outputNames: readonly string[];
      run(feeds: Record<string, unknown>): Promise<Record<string, OnnxRuntimeTensor>>;
    }>;
  };
  Tensor: new (type: string, data: unknown, dims: readonly number[]) => unknown;
}

export interface OnnxRuntimeTensor {
  data: Float32Array;
  dims: readonly number[];
}

/** onnxruntime-node, which npm installs into the cache; null, with a printed reason, where it cannot. */
export function onnxruntime(): OnnxRuntime | null {
  try {
    const bench = createRequire(import.meta.url)('../../bench/onnxruntime.mjs') as {
      onnxruntime(): OnnxRuntime;
    };
    return bench.onnxruntime();
  } catch (error) {
    console.log(`skipped: ${(error as Error).message}`);
    return null;
  }
}
