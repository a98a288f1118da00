#include "common/device_buffer.h"
#include "hungarian/hungarian.h"
#include "hungarian/hungarian_kernel.h"

namespace nodule {
namespace {

// A thread works on a cell; its arrays lie in local memory, so small blocks spread the cells over
// the processors.
constexpr unsigned kBlock = 32;

__global__ void MatchKernel(MatchParams params, double* costs) {
  const size_t cell = static_cast<size_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (cell >= params.cells) return;
  const size_t p = params.p, t = params.t;
  MatchWork work;
  params.cost[cell] = MatchCell(params.predictions + cell * p * 4, params.truths + cell * t * 4,
                                params.p, params.counts[cell], params.min_iou, costs + cell * p * t,
                                work, params.assignment + cell * p);
}

}  // namespace

void HungarianMatchCuda(const MatchParams& params) {
  if (params.cells == 0) return;
  const size_t cells = params.cells, p = params.p, t = params.t;
  Stream stream;
  DeviceBuffer<float> predictions(cells * p * 4, stream), truths(cells * t * 4, stream);
  DeviceBuffer<int32_t> counts(cells, stream), assignment(cells * p, stream);
  DeviceBuffer<double> cost(cells, stream), costs(cells * p * t, stream);
  predictions.CopyFrom(params.predictions, cells * p * 4);
  truths.CopyFrom(params.truths, cells * t * 4);
  counts.CopyFrom(params.counts, cells);
  MatchParams on_device = params;
  on_device.predictions = predictions.data();
  on_device.truths = truths.data();
  on_device.counts = counts.data();
  on_device.assignment = assignment.data();
  on_device.cost = cost.data();
  MatchKernel<<<BlocksFor(cells, kBlock), kBlock, 0, stream>>>(on_device, costs.data());
  NODULE_CUDA_LAUNCHED();
  assignment.CopyTo(params.assignment, cells * p);
  cost.CopyTo(params.cost, cells);
  stream.Wait();
}

}  // namespace nodule
