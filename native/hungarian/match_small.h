// Cells of few predictions, eight at a time: a vector lane works on a cell.
#pragma once

#include <cstddef>

#include "common/lanes.h"
#include "hungarian/hungarian.h"

namespace nodule {

constexpr int kMaxSmall = 6;

// Whether MatchSmall can do it: 1 to kMaxSmall predictions, no more truths than predictions.
inline bool IsSmallMatch(const MatchParams& params) {
  return params.p >= 1 && params.p <= kMaxSmall && params.t >= 1 && params.t <= params.p;
}

// Cells [first, first + count), count <= kLanes.
void MatchSmall(const MatchParams& params, size_t first, size_t count);

}  // namespace nodule
