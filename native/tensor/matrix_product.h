// Matrix products by oneDNN.
#pragma once

#include <cstdint>

namespace nodule::tensor {

/// c [m, n] = op(a) * op(b), added to c when `accumulate`, row-major; a is [m, k], or [k, m] when transposed; b likewise.
void MatMul(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
            const float* b, float* c, bool accumulate);

/// `count` such products, the operands `a_step`, `b_step` and `c_step` floats apart; each on one thread. Leaves the arena
/// alone, where the operands may be.
void MatMuls(int64_t count, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
             const float* a, int64_t a_step, const float* b, int64_t b_step, float* c,
             int64_t c_step, bool accumulate);

}  // namespace nodule::tensor
