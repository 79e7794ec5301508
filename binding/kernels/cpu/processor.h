// What the choice of a kernel depends on: the machine alone, so that two runs on it agree.
#pragma once

namespace m3l::cpu {

/** Whether MKL takes its AVX2 path where wider vectors are at hand: not Intel's, with AVX-512. */
inline bool MklIsNarrow() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return !static_cast<bool>(__builtin_cpu_is("intel")) &&
         static_cast<bool>(__builtin_cpu_supports("avx512f"));
#else
  return false;
#endif
}

}  // namespace m3l::cpu
