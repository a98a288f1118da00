#include <algorithm>

#include "common/parallel.h"
#include "hungarian/hungarian.h"
#include "hungarian/hungarian_kernel.h"
#include "hungarian/match_small.h"

namespace nodule {
namespace {

// Below this a task is not worth another thread.
constexpr size_t kCellsAtOnce = 64;
constexpr size_t kGroupsAtOnce = 32;

}  // namespace

void HungarianMatchCpu(const MatchParams& params) {
  if (IsSmallMatch(params)) {
    const size_t groups = (params.cells + kLanes - 1) / kLanes;
    ParallelFor(groups, kGroupsAtOnce, [&](size_t begin, size_t end) {
      for (size_t group = begin; group < end; group++) {
        const size_t first = group * kLanes;
        MatchSmall(params, first, std::min(kLanes, params.cells - first));
      }
    });
    return;
  }
  const size_t p = params.p, t = params.t;
  ParallelFor(params.cells, kCellsAtOnce, [&](size_t begin, size_t end) {
    double costs[kMaxMatch * kMaxMatch];
    MatchWork work;
    for (size_t cell = begin; cell < end; cell++)
      params.cost[cell] =
          MatchCell(params.predictions + cell * p * 4, params.truths + cell * t * 4, params.p,
                    params.counts[cell], params.min_iou, costs, work, params.assignment + cell * p);
  });
}

}  // namespace nodule
