#include "common/parallel.h"
#include "hungarian/hungarian.h"
#include "hungarian/hungarian_kernel.h"

namespace nodule {
namespace {

// Below this a task is not worth another thread.
constexpr size_t kCellsAtOnce = 64;

}  // namespace

void HungarianMatchCpu(const MatchParams& params) {
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
