// Reductions over the middle axis of [outer, n, inner]. The result does not depend on the number of threads: sums
// are cut into blocks of a fixed size, and the blocks are added in order.
#pragma once

#include <cstdint>
#include <vector>

namespace nodule::tensor {

enum class ReduceOp : int { kSum, kMean, kMax, kMin, kProd, kCount };

/// x [outer, n, inner] -> out [outer, inner]. An empty sum is 0, an empty maximum -Infinity.
void Reduce(ReduceOp op, const float* x, int64_t outer, int64_t n, int64_t inner, float* out);

struct FloatRange {
  const float* data;
  int64_t n;
};

/// Sum of the squares of all floats of all arrays, accumulated in double across blocks.
double SumOfSquares(const std::vector<FloatRange>& arrays);

}  // namespace nodule::tensor
