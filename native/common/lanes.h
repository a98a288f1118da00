// Eight doubles or whole numbers as one value: the compiler makes of it what the instruction set
// has (one register of AVX-512, two of AVX2, four of SSE2 or NEON).
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/host_device.h"

namespace nodule {

// Lanes of vectors of doubles, and of float32 in a register of AVX-512.
constexpr size_t kLanes = 8;
constexpr size_t kFloatLanes = 16;

typedef double Doubles __attribute__((vector_size(kLanes * sizeof(double))));
typedef int64_t Integers __attribute__((vector_size(kLanes * sizeof(int64_t))));

// By reference and inline only: how such values are passed differs between instruction sets.
NODULE_HD void Fill(Doubles& v, double value) { v = Doubles{} + value; }
NODULE_HD void Fill(Integers& v, int64_t value) { v = Integers{} + value; }

}  // namespace nodule
