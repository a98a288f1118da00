// What the shared X_kernel.h headers need to compile for the CPU and for CUDA.
#pragma once

#include <cstddef>
#include <cstdint>

// A function of one item that CPU loops and CUDA threads both call.
#if defined(__CUDACC__)
#define NODULE_HD __host__ __device__ __forceinline__
#else
#define NODULE_HD inline __attribute__((always_inline))
#endif

// A CPU loop that is compiled once for each instruction set; the best one for the machine is chosen
// when the addon is loaded. What it calls must be always_inline (NODULE_HD), or it stays at the
// baseline. GCC knows these names of instruction sets from 12 on.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && __GNUC__ >= 12 && \
    !defined(__CUDACC__) && !defined(NODULE_NO_CLONES)
#define NODULE_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "arch=x86-64-v2", "default")))
#define NODULE_HAS_CLONES 1
#else
#define NODULE_CLONES
#define NODULE_HAS_CLONES 0
#endif

// Whether functions with intrinsics of a newer instruction set can be compiled beside the baseline
// (attribute target) and chosen at run time (__builtin_cpu_supports).
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__CUDACC__)
#define NODULE_HAS_X86_TARGETS 1
#else
#define NODULE_HAS_X86_TARGETS 0
#endif
