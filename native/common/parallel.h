// One pool of threads for all CPU kernels.
#pragma once

#include <cstddef>
#include <functional>

namespace nodule {

// The number of threads that share a ParallelFor, the caller among them. At first the cores;
// JavaScript sets what NODULE_THREADS asks for.
int ThreadCount();

// Takes effect with the next ParallelFor. 1: everything runs on the caller.
void SetThreadCount(int count);

// Calls body(begin, end) so that the ranges cover [0, count) without overlap, each at most `grain`
// long, from several threads at once; returns when all have returned. Callable from several
// threads. `body` must not call ParallelFor. What it throws first is thrown here once no thread is
// in it any more; the ranges that had not begun then are left out.
void ParallelFor(size_t count, size_t grain, const std::function<void(size_t, size_t)>& body);

// The instruction set that NODULE_CLONES chose: "x86-64-v4" (AVX-512), "x86-64-v3" (AVX2),
// "x86-64-v2", "x86-64", "arm64" or "generic".
const char* InstructionSet();

}  // namespace nodule
