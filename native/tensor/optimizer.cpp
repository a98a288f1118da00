#include "optimizer.h"

#include "threads.h"

namespace nodule::tensor {

void RmsProp(int64_t n, float* w, float* mean_square, const float* g, const OptimizerParams& p) {
  const auto loop = ActiveLoops().rmsprop;
  ParallelFor(n, kGrain,
              [&](int64_t i, int64_t end) { loop(w + i, mean_square + i, g + i, end - i, p); });
}

void Adam(int64_t n, float* w, float* m, float* v, const float* g, const OptimizerParams& p) {
  const auto loop = ActiveLoops().adam;
  ParallelFor(n, kGrain,
              [&](int64_t i, int64_t end) { loop(w + i, m + i, v + i, g + i, end - i, p); });
}

}  // namespace nodule::tensor
