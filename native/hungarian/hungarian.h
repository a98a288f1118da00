// Optimal assignment of predicted to true boxes, for all grid cells in one call, and the plain assignment problem.
//
//   cost(i, j) = i + sum over cx, cy, w, h of |prediction_i - truth_j| / 2000 + 100 * [IoU < min_iou]
//   (float64; i is the prediction's rank). The first counts[cell] truths of a cell are real; missing ones cost 0.
//   Each real truth gets one prediction when counts <= p, else each prediction one truth, at the least total cost.
//
//   predictions [cells, p, 4], truths [cells, t, 4]: cx, cy, w, h, float32, finite
//   counts      [cells], int32, 0 to t
//   assignment  [cells, p], int32: the truth of each prediction, or -1
//   cost        [cells], float64: sum of cost(i, assignment[i]), in the order of i
//
// The total cost is the same on every device; so is the assignment, unless several have the least cost.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/device.h"

namespace nodule {

struct MatchParams {
  size_t cells = 0;
  int p = 0, t = 0;
  double min_iou = 0;
  const float* predictions = nullptr;
  const float* truths = nullptr;
  const int32_t* counts = nullptr;
  int32_t* assignment = nullptr;
  double* cost = nullptr;
};

void HungarianMatchCpu(const MatchParams& params);
void HungarianMatchCuda(const MatchParams& params);

inline void HungarianMatch(const MatchParams& params, Device device) {
#if defined(NODULE_WITH_CUDA)
  if (device == Device::kCuda) return HungarianMatchCuda(params);
#endif
  (void)device;
  HungarianMatchCpu(params);
}

// min(rows, columns) pairs of a dense matrix cost[rows, columns] (magnitudes up to 1e100) at the
// least total cost; CPU only. Writes row_to_column[rows] (-1: unmatched) and returns the total.
double LinearSumAssignment(const double* cost, size_t rows, size_t columns, int32_t* row_to_column);

}  // namespace nodule
