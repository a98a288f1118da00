#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "common/bindings.h"
#include "common/host_device.h"
#include "common/napi_check.h"
#include "common/napi_device.h"
#include "common/napi_run.h"
#include "hungarian/hungarian.h"
#include "hungarian/hungarian_kernel.h"

namespace nodule {
namespace {

// Also refuses finite numbers of which sums could overflow; all float32 pass.
constexpr double kMaxCost = 1e100;

template <typename T>
void RequireFinite(Napi::Env env, const char* name, const T* data, size_t count,
                   size_t offset = 0) {
  for (size_t i = 0; i < count; i++)
    if (!(std::abs(static_cast<double>(data[i])) <= kMaxCost))
      Refuse(env, std::string(name) + "[" + std::to_string(offset + i) + "]", "finite number");
}

// Whether all are finite: the common case, fast.
NODULE_CLONES bool AllFinite(const float* data, size_t count) {
  uint32_t largest =
      0;  // the bits of a magnitude grow with it; infinity and NaN have all exponent bits
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    std::memcpy(&bits, data + i, sizeof(bits));
    largest = std::max(largest, bits & 0x7fffffffU);
  }
  return largest < 0x7f800000U;
}

// By position, because a call takes as long as matching ten cells: (predictions, truths: Float32Array,
// counts, assignment: Int32Array, cost: Float64Array, p, t, minIou, device). There are as many
// cells as counts.
Napi::Value Match(const Napi::CallbackInfo& info, bool async) {
  const Napi::Env env = info.Env();
  MatchParams params;
  const View<int32_t> counts = RequireArray<int32_t>(env, info[2], "counts", SIZE_MAX);
  const size_t p = RequireSize(env, info[5], "p"), t = RequireSize(env, info[6], "t");
  if (static_cast<double>(counts.length) > kMaxSize) Refuse(env, "counts", "at most 2^20 cells");
  if (p > kMaxMatch) Refuse(env, "p", "at most 64 predictions");
  if (t > kMaxMatch) Refuse(env, "t", "at most 64 truths");
  params.cells = counts.length;
  params.p = static_cast<int>(p);
  params.t = static_cast<int>(t);
  params.min_iou = RequireNumber(env, info[7], "minIou", 0, 1);
  params.predictions = RequireArray<float>(env, info[0], "predictions", params.cells * p * 4).data;
  params.truths = RequireArray<float>(env, info[1], "truths", params.cells * t * 4).data;
  params.assignment = RequireArray<int32_t>(env, info[3], "assignment", params.cells * p).data;
  params.cost = RequireArray<double>(env, info[4], "cost", params.cells).data;
  const Device device = RequireDevice(env, info[8]);
  if (!AllFinite(params.predictions, params.cells * p * 4))
    RequireFinite(env, "predictions", params.predictions, params.cells * p * 4);
  const bool truths_finite = AllFinite(params.truths, params.cells * t * 4);
  // The kernel reads its own copy of the counts, because it trusts them as lengths.
  std::vector<int32_t> copied(counts.data, counts.data + params.cells);
  for (size_t cell = 0; cell < params.cells; cell++) {
    const int32_t count = copied[cell];
    if (count < 0 || count > params.t)
      Refuse(env, "counts[" + std::to_string(cell) + "]",
             "integer between 0 and " + std::to_string(t));
    if (!truths_finite)  // those that are not real may be anything
      RequireFinite(env, "truths", params.truths + cell * t * 4, static_cast<size_t>(count) * 4,
                    cell * t * 4);
  }
  if (!async) {
    params.counts = copied.data();
    return RunNow(env, [&params, device] { HungarianMatch(params, device); });
  }
  Napi::Array arrays = Napi::Array::New(env, 5);
  for (uint32_t i = 0; i < 5; i++) arrays.Set(i, info[i]);
  return RunKernel(env, arrays, true, [params, copied = std::move(copied), device]() mutable {
    params.counts = copied.data();
    HungarianMatch(params, device);
  });
}

// {cost: Float64Array, rows, columns, rowToColumn: Int32Array} -> total cost
Napi::Value Assign(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object object = RequireObject(env, info[0], "input");
  const size_t rows = RequireSize(env, object, "rows"),
               columns = RequireSize(env, object, "columns");
  const View<double> cost = RequireArray<double>(env, object, "cost", rows * columns);
  const View<int32_t> row_to_column = RequireArray<int32_t>(env, object, "rowToColumn", rows);
  RequireFinite(env, "cost", cost.data, cost.length);
  return Napi::Number::New(env, LinearSumAssignment(cost.data, rows, columns, row_to_column.data));
}

}  // namespace

void InitHungarian(Napi::Env env, Napi::Object exports) {
  ExportKernel(env, exports, "hungarianMatch", Match);
  exports.Set("linearSumAssignment", Napi::Function::New(env, Assign, "linearSumAssignment"));
}

}  // namespace nodule
