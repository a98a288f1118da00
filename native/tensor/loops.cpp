#include "loops.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

// Buffers never overlap: a kernel writes a buffer of its own, or updates in place element by element.
#if defined(__clang__)
#define NODULE_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define NODULE_IVDEP _Pragma("GCC ivdep")
#else
#define NODULE_IVDEP
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace nodule::tensor {
namespace base {
#define NODULE_VECTOR_BYTES 16
// The order matters.
// clang-format off
#include "loops_elementwise.inc"
#include "loops_layers.inc"
#include "loops_winograd.inc"
#include "loops_table.inc"
// clang-format on
#undef NODULE_VECTOR_BYTES
}  // namespace base

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define NODULE_ISA_CHOICE 1
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi2")
namespace avx2 {
#define NODULE_VECTOR_BYTES 32
// The order matters.
// clang-format off
#include "loops_elementwise.inc"
#include "loops_layers.inc"
#include "loops_winograd.inc"
#include "loops_table.inc"
// clang-format on
#undef NODULE_VECTOR_BYTES
}  // namespace avx2
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,fma,bmi2,prefer-vector-width=512")
namespace avx512 {
#define NODULE_VECTOR_BYTES 64
// The order matters.
// clang-format off
#include "loops_elementwise.inc"
#include "loops_layers.inc"
#include "loops_winograd.inc"
#include "loops_table.inc"
// clang-format on
#undef NODULE_VECTOR_BYTES
}  // namespace avx512
#pragma GCC pop_options
#endif

const Loops& ActiveLoops() {
  static const Loops loops = [] {
#ifdef NODULE_ISA_CHOICE
    const char* wanted = std::getenv("NODULE_ISA");
    const bool base_only = wanted != nullptr && std::strcmp(wanted, "base") == 0;
    const bool avx2_only = wanted != nullptr && std::strcmp(wanted, "avx2") == 0;
    __builtin_cpu_init();
    if (!base_only && !avx2_only && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
      return avx512::MakeLoops("avx512");
    if (!base_only && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      return avx2::MakeLoops("avx2");
#endif
    return base::MakeLoops("base");
  }();
  return loops;
}

}  // namespace nodule::tensor
