// What the choice of a kernel depends on: the machine alone, so that two runs on it agree.
#pragma once

namespace m3l::cpu {

inline bool HasAvx512() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f");
#else
  return false;
#endif
}

/** Whether MKL takes its AVX2 path where wider vectors are at hand: not Intel's, with AVX-512. */
inline bool MklIsNarrow() {
#if defined(__x86_64__)
  return HasAvx512() && !__builtin_cpu_is("intel");
#else
  return false;
#endif
}

}  // namespace m3l::cpu
