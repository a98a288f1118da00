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

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define NODULE_HAS_SHUFFLE 1
#endif
#endif

#if defined(NODULE_HAS_SHUFFLE)
typedef float Floats4 __attribute__((vector_size(16)));
typedef float Floats8 __attribute__((vector_size(32)));

// The boxes of a rank in eight cells, turned from cell by cell to value by value inside registers:
// vectors that are read while their elements are still being written wait for all of them.
NODULE_HD void GatherBoxes(const float* const* cells, int rank, Boxes& b) {
  Floats8 pairs[4];  // of cells i and i + 4
  for (int i = 0; i < 4; i++) {
    Floats4 low, high;
    std::memcpy(&low, cells[i] + rank * 4, sizeof(low));
    std::memcpy(&high, cells[i + 4] + rank * 4, sizeof(high));
    pairs[i] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
  }
#define NODULE_CENTERS(p, q) __builtin_shufflevector(p, q, 0, 8, 1, 9, 4, 12, 5, 13)
#define NODULE_SIZES(p, q) __builtin_shufflevector(p, q, 2, 10, 3, 11, 6, 14, 7, 15)
#define NODULE_FIRST(p, q) \
  __builtin_convertvector(__builtin_shufflevector(p, q, 0, 1, 8, 9, 4, 5, 12, 13), Doubles)
#define NODULE_SECOND(p, q) \
  __builtin_convertvector(__builtin_shufflevector(p, q, 2, 3, 10, 11, 6, 7, 14, 15), Doubles)
  const Floats8 centers0 = NODULE_CENTERS(pairs[0], pairs[1]);
  const Floats8 centers1 = NODULE_CENTERS(pairs[2], pairs[3]);
  const Floats8 sizes0 = NODULE_SIZES(pairs[0], pairs[1]);
  const Floats8 sizes1 = NODULE_SIZES(pairs[2], pairs[3]);
  b.cx = NODULE_FIRST(centers0, centers1);
  b.cy = NODULE_SECOND(centers0, centers1);
  b.w = NODULE_FIRST(sizes0, sizes1);
  b.h = NODULE_SECOND(sizes0, sizes1);
#undef NODULE_CENTERS
#undef NODULE_SIZES
#undef NODULE_FIRST
#undef NODULE_SECOND
}
#else
NODULE_HD void GatherBoxes(const float* const* cells, int rank, Boxes& b) {
  for (size_t lane = 0; lane < kLanes; lane++) {
    const float* box = cells[lane] + rank * 4;
    b.cx[lane] = static_cast<double>(box[0]);
    b.cy[lane] = static_cast<double>(box[1]);
    b.w[lane] = static_cast<double>(box[2]);
    b.h[lane] = static_cast<double>(box[3]);
  }
}
#endif

NODULE_HD void MakeBoxes(const float* const* cells, int rank, Boxes& b) {
  GatherBoxes(cells, rank, b);
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
// there is no such truth. Without kExact the quotient IoU = shared / both is not computed, because
// a division takes as long as all the rest: what counts is on which side of min_iou * both `shared`
// lies. `doubt` becomes 1 where they differ by so little that rounding may decide.
template <bool kExact>
NODULE_HD void Costs(const Boxes& a, const Boxes& b, double order, const Integers& exists,
                     double min_iou, Doubles& cost, Doubles& doubt) {
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
  Doubles gap;  // below 0 where the IoU is below min_iou
  if (kExact) {
    const Doubles quotient = shared / (both > 0 ? both : 1.0);
    const Doubles iou = both > 0 ? quotient : 0.0;
    gap = iou - min_iou;
  } else {
    gap = shared - min_iou * both;
    const Doubles distance_to_0 = gap < 0 ? -gap : gap;
    // Also where the boxes have no area, or so much that it overflows.
    doubt = distance_to_0 > 1e-12 * both ? doubt : 1.0;
  }
  const Doubles sum = order + distance / 2000 + (gap < 0 ? Doubles{} + 100.0 : Doubles{});
  cost = exists ? sum : 0.0;
}

// The least sum and the last choice for one set of truths, from those for the sets with one less.
template <int kP>
NODULE_HD void MatchSet(int set, const Doubles (&costs)[kP][kP], Doubles* least, Integers* choice) {
  const int i = __builtin_popcount(static_cast<unsigned>(set)) - 1;
  Doubles best;
  Integers best_truth = {};
  Fill(best, 1e300);
#pragma GCC unroll 8
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
  for (int i = 0; i < kP; i++) MakeBoxes(predictions, i, a[i]);
  for (int j = 0; j < most; j++) MakeBoxes(truths, j, b[j]);
  Doubles doubt = {};
  for (int i = 0; i < kP; i++)
    for (int j = 0; j < kP; j++) {
      if (j < most)
        Costs<false>(a[i], b[j], i, j < counts, params.min_iou, costs[i][j], doubt);
      else
        Fill(costs[i][j], 0);
    }
  double doubts = 0;
  for (size_t lane = 0; lane < kLanes; lane++) doubts += doubt[lane];
  if (doubts > 0)
    for (int i = 0; i < kP; i++)
      for (int j = 0; j < most; j++)
        Costs<true>(a[i], b[j], i, j < counts, params.min_iou, costs[i][j], doubt);

  Doubles least[kSets];
  Integers choice[kSets];
  Fill(least[0], 0);
  if constexpr (kP <= 5) {
    // Unrolled, the members of each set are constants: a tenth of a whole call.
#pragma GCC unroll 32
    for (int set = 1; set < kSets; set++) MatchSet<kP>(set, costs, least, choice);
  } else {
    for (int set = 1; set < kSets; set++) MatchSet<kP>(set, costs, least, choice);
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
