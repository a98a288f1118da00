// Matrix products by oneDNN.
#pragma once

#include <cstdint>

namespace nodule::tensor {

/// c [m, n] = op(a) * op(b), added to c when `accumulate`, row-major; a is [m, k], or [k, m] when transposed; b likewise.
void MatMul(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
            const float* b, float* c, bool accumulate);

}  // namespace nodule::tensor
