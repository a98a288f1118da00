#include "optimizer.h"

#include "threads.h"

namespace nodule::tensor {

void RmsProp(int64_t n, const float* w, const float* mean_square, const float* g, const OptimizerParams& p,
             float* new_w, float* new_mean_square) {
  const auto loop = ActiveLoops().rmsprop;
  ParallelFor(n, kGrain, [&](int64_t i, int64_t end) {
    loop(w + i, mean_square + i, g + i, end - i, p, new_w + i, new_mean_square + i);
  });
}

void Adam(int64_t n, const float* w, const float* m, const float* v, const float* g, const OptimizerParams& p,
          float* new_w, float* new_m, float* new_v) {
  const auto loop = ActiveLoops().adam;
  ParallelFor(n, kGrain, [&](int64_t i, int64_t end) {
    loop(w + i, m + i, v + i, g + i, end - i, p, new_w + i, new_m + i, new_v + i);
  });
}

}  // namespace nodule::tensor
