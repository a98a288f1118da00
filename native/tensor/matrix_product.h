// Matrix products by oneDNN.
#pragma once

#include <cstdint>

namespace nodule::tensor {

class Plan;

/// c [m, n] = op(a) * op(b), added to c when `accumulate`, row-major; a is [m, k], or [k, m] when transposed; b likewise.
void MatMul(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
            const float* b, float* c, bool accumulate);

/// Floats from a row of a stored matrix to the next: more than its width where it is some columns of a larger one.
struct Pitches {
  int64_t a, b, c;
};
/// Of matrices that stand alone.
Pitches PitchesOf(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k);
/// The same product of such matrices.
void MatMul(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
            const float* b, float* c, bool accumulate, const Pitches& pitch);

/// The plan of such a product on one thread, for RunProducts on several at once.
const Plan& SerialProduct(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                          bool accumulate);

/// `count` of them on the calling thread; the operands lie `a_step`, `b_step` and `c_step` floats apart.
void RunProducts(const Plan& plan, int64_t count, const float* a, int64_t a_step, const float* b,
                 int64_t b_step, float* c, int64_t c_step);

}  // namespace nodule::tensor
