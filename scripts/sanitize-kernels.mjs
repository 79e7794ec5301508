// The emulated CUDA kernels under the address and undefined-behaviour sanitizers: what they report that
// the emulation does not see for itself, and the emulation and the registrations with them.
//
//     node scripts/sanitize-kernels.mjs [FILTER …]      default: test/kernels
import { spawnSync } from 'node:child_process';
import { buildEmulatedCuda, testEmulatedCuda } from './emulated-cuda.mjs';

/** @param {string} name */
function library(name) {
  const { stdout } = spawnSync('c++', [`-print-file-name=${name}`], { encoding: 'utf8' });
  const path = (stdout ?? '').trim();
  if (path === '' || path === name) {
    console.error(`sanitize: c++ has no ${name}: install the compiler's sanitizer libraries`);
    process.exit(1);
  }
  return path;
}

const preload = [library('libasan.so'), library('libubsan.so')].join(':');
const kernels = await buildEmulatedCuda({ sanitizers: 'address,undefined' });
const filters = process.argv.slice(2);
const { failed, passed } = await testEmulatedCuda(filters.length > 0 ? filters : ['test/kernels'], {
  M3L_KERNELS: kernels,
  // Node frees little at its end, and what it maps for WebAssembly looks like shadow memory.
  ASAN_OPTIONS: 'detect_leaks=0:allow_user_segv_handler=1:detect_stack_use_after_return=0',
  UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
  LD_PRELOAD: preload,
});
process.exit(failed === 0 && passed > 0 ? 0 : 1);
