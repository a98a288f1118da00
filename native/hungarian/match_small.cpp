#include "hungarian/match_small.h"

#include <algorithm>
#include <cstring>

#include "common/host_device.h"

namespace nodule {
namespace {

// Boxes of one rank in eight cells.
struct Boxes {
  Doubles cx, cy, w, h, x0, x1, y0, y1, area;
};

// Boxes of a rank: value k of cell `lane` at [k][lane]. All are gathered before the first is used,
// so that no vector is read while its elements are still being written.
using Gathered = double[4][kLanes];

NODULE_HD void GatherBoxes(const float* const* cells, int rank, Gathered& out) {
  for (size_t lane = 0; lane < kLanes; lane++)
    for (int k = 0; k < 4; k++) out[k][lane] = static_cast<double>(cells[lane][rank * 4 + k]);
}

NODULE_HD void MakeBoxes(const Gathered& from, Boxes& b) {
  std::memcpy(&b.cx, from[0], sizeof(Doubles));
  std::memcpy(&b.cy, from[1], sizeof(Doubles));
  std::memcpy(&b.w, from[2], sizeof(Doubles));
  std::memcpy(&b.h, from[3], sizeof(Doubles));
  b.x0 = b.cx - b.w / 2;
  b.x1 = b.cx + b.w / 2;
  b.y0 = b.cy - b.h / 2;
  b.y1 = b.cy + b.h / 2;
  const Doubles width = b.x1 - b.x0, height = b.y1 - b.y0;
  b.area = (width > 0 ? width : 0.0) * (height > 0 ? height : 0.0);
}

NODULE_HD void AddDistance(const Doubles& a, const Doubles& b, Doubles& distance) {
  const Doubles delta = a - b;
  distance += delta < 0 ? -delta : delta;
}

// MatchCost of hungarian_kernel.h in eight cells, the same operations in the same order; 0 where
// there is no such truth.
NODULE_HD void Costs(const Boxes& a, const Boxes& b, double order, const Integers& exists,
                     double min_iou, Doubles& cost) {
  Doubles distance = {};
  AddDistance(a.cx, b.cx, distance);
  AddDistance(a.cy, b.cy, distance);
  AddDistance(a.w, b.w, distance);
  AddDistance(a.h, b.h, distance);
  const Doubles width = (a.x1 < b.x1 ? a.x1 : b.x1) - (a.x0 > b.x0 ? a.x0 : b.x0);
  const Doubles height = (a.y1 < b.y1 ? a.y1 : b.y1) - (a.y0 > b.y0 ? a.y0 : b.y0);
  // Each condition in a choice of its own: GCC 12 combines conditions element by element.
  const Doubles shared = (width > 0 ? width : 0.0) * (height > 0 ? height : 0.0);
  const Doubles both = a.area + b.area - shared;
  const Doubles quotient = shared / (both > 0 ? both : 1.0);
  const Doubles iou = both > 0 ? quotient : 0.0;
  const Doubles sum = order + distance / 2000 + (iou < min_iou ? Doubles{} + 100.0 : Doubles{});
  cost = exists ? sum : 0.0;
}

// The least sum over assignments of the first predictions to each set of truths (2^p sets), in the
// order of the predictions; missing truths cost 0, so that each prediction gets one.
template <int kP>
NODULE_HD void Match(const MatchParams& params, size_t first, size_t count) {
  constexpr int kSets = 1 << kP;
  const float* predictions[kLanes];
  const float* truths[kLanes];
  Integers counts;
  int most = 0;  // truths of the fullest cell: few cells have any
  for (size_t lane = 0; lane < kLanes; lane++) {
    const size_t cell = first + std::min(lane, count - 1);
    counts[lane] = params.counts[cell];
    most = std::max<int>(most, params.counts[cell]);
    predictions[lane] = params.predictions + cell * kP * 4;
    truths[lane] = params.truths + cell * params.t * 4;
  }
  if (most == 0) {
    std::fill_n(params.assignment + first * kP, count * kP, -1);
    std::fill_n(params.cost + first, count, 0.0);
    return;
  }
  Boxes a[kP], b[kP];
  Doubles costs[kP][kP];
  Gathered gathered_a[kP], gathered_b[kP];
  for (int i = 0; i < kP; i++) GatherBoxes(predictions, i, gathered_a[i]);
  for (int j = 0; j < most; j++) GatherBoxes(truths, j, gathered_b[j]);
  for (int i = 0; i < kP; i++) MakeBoxes(gathered_a[i], a[i]);
  for (int j = 0; j < most; j++) MakeBoxes(gathered_b[j], b[j]);
  for (int i = 0; i < kP; i++)
    for (int j = 0; j < kP; j++) {
      if (j < most)
        Costs(a[i], b[j], i, j < counts, params.min_iou, costs[i][j]);
      else
        Fill(costs[i][j], 0);
    }

  Doubles least[kSets];
  Integers choice[kSets];
  Fill(least[0], 0);
  for (int set = 1; set < kSets; set++) {
    const int i = __builtin_popcount(static_cast<unsigned>(set)) - 1;
    Doubles best;
    Integers best_truth = {};
    Fill(best, 1e300);
    for (int j = 0; j < kP; j++) {
      if ((set >> j & 1) == 0) continue;
      const Doubles sum = least[set ^ (1 << j)] + costs[i][j];
      const Integers less = sum < best;
      best = less ? sum : best;
      best_truth = less ? Integers{} + j : best_truth;
    }
    least[set] = best;
    choice[set] = best_truth;
  }
  for (size_t lane = 0; lane < count; lane++) {
    const size_t cell = first + lane;
    params.cost[cell] = least[kSets - 1][lane];
    int set = kSets - 1;
    for (int i = kP - 1; i >= 0; i--) {
      const int j = static_cast<int>(choice[set][lane]);
      params.assignment[cell * kP + i] = j < params.counts[cell] ? j : -1;
      set ^= 1 << j;
    }
  }
}

#define NODULE_MATCH(kP)                                                                \
  NODULE_CLONES void Match##kP(const MatchParams& params, size_t first, size_t count) { \
    Match<kP>(params, first, count);                                                    \
  }
NODULE_MATCH(1)
NODULE_MATCH(2)
NODULE_MATCH(3)
NODULE_MATCH(4)
NODULE_MATCH(5)
NODULE_MATCH(6)

}  // namespace

void MatchSmall(const MatchParams& params, size_t first, size_t count) {
  switch (params.p) {
    case 1:
      return Match1(params, first, count);
    case 2:
      return Match2(params, first, count);
    case 3:
      return Match3(params, first, count);
    case 4:
      return Match4(params, first, count);
    case 5:
      return Match5(params, first, count);
    case 6:
      return Match6(params, first, count);
  }
}

}  // namespace nodule
