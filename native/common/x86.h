// Intrinsics of newer x86 instruction sets beside the baseline, chosen at run time.
#pragma once

#include "common/host_device.h"

#if NODULE_HAS_X86_TARGETS
#if !defined(__clang__)
// GCC 12 warns of its own intrinsics (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define NODULE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))
#define NODULE_AVX512_INLINE NODULE_AVX512 inline __attribute__((always_inline))

namespace nodule {

inline bool HasAvx512() {
  static const bool has = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
  }();
  return has;
}

}  // namespace nodule
#endif
