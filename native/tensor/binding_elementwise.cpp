// Exports of elementwise.h, reduce.h and layout.h.
#include <vector>

#include "binding.h"
#include "elementwise.h"
#include "layout.h"
#include "reduce.h"

namespace nodule::tensor {
namespace {

// meta = [dims, strides of a, strides of b], each of `rank` entries.
Broadcast BroadcastOf(const Arguments& arguments, size_t meta, size_t rank, int64_t* total,
                      int64_t* need_a, int64_t* need_b) {
  Broadcast s;
  s.rank = arguments.Opcode(rank, kMaxRank + 1);
  const int32_t* values = arguments.Integers(meta, 3 * s.rank);
  *total = *need_a = *need_b = 1;
  for (int d = 0; d < s.rank; ++d) {
    s.dims[d] = values[d];
    s.stride_a[d] = values[s.rank + d];
    s.stride_b[d] = values[2 * s.rank + d];
    arguments.Require(s.dims[d] >= 0 && s.stride_a[d] >= 0 && s.stride_b[d] >= 0, meta,
                      "dims and strides >= 0");
    *total = arguments.Product(meta, {*total, s.dims[d]});
    if (*total == 0) continue;
    // Neither overflows: one dim at most is above 2^20.
    *need_a += (s.dims[d] - 1) * s.stride_a[d];
    *need_b += (s.dims[d] - 1) * s.stride_b[d];
  }
  if (s.rank > 0)
    arguments.Require(s.stride_a[s.rank - 1] <= 1 && s.stride_b[s.rank - 1] <= 1, meta,
                      "last strides 0 or 1");
  if (s.rank > 0 && s.dims[s.rank - 1] > 1)
    arguments.Require(s.stride_a[s.rank - 1] + s.stride_b[s.rank - 1] > 0, meta,
                      "one last stride of 1");
  if (*total == 0) *need_a = *need_b = 0;
  return s;
}

// binary(op, a, b, out, meta, rank)
Napi::Value BinaryCall(const Arguments& arguments) {
  int64_t total, need_a, need_b;
  const Broadcast s = BroadcastOf(arguments, 4, 5, &total, &need_a, &need_b);
  const int op = arguments.Opcode(0, static_cast<int>(BinaryOp::kCount));
  if (total > 0)
    Binary(static_cast<BinaryOp>(op), s, arguments.Floats(1, need_a), arguments.Floats(2, need_b),
           arguments.Floats(3, total));
  return arguments.Env().Undefined();
}

// compare(op, a, b, out, meta, rank)
Napi::Value CompareCall(const Arguments& arguments) {
  int64_t total, need_a, need_b;
  const Broadcast s = BroadcastOf(arguments, 4, 5, &total, &need_a, &need_b);
  const int op = arguments.Opcode(0, static_cast<int>(CompareOp::kCount));
  if (total > 0)
    Compare(static_cast<CompareOp>(op), s, arguments.Floats(1, need_a), arguments.Floats(2, need_b),
            arguments.Bytes(3, total));
  return arguments.Env().Undefined();
}

// unary(op, x, out, alpha, beta)
Napi::Value UnaryCall(const Arguments& arguments) {
  const int64_t n = arguments.Any(2).length;
  Unary(static_cast<UnaryOp>(arguments.Opcode(0, static_cast<int>(UnaryOp::kCount))),
        arguments.Floats(1, n), arguments.Floats(2, n), n, static_cast<float>(arguments.Number(3)),
        static_cast<float>(arguments.Number(4)));
  return arguments.Env().Undefined();
}

// select(condition, a, b, out)
Napi::Value SelectCall(const Arguments& arguments) {
  const int64_t n = arguments.Any(3).length;
  Select(arguments.Bytes(0, n), arguments.Floats(1, n), arguments.Floats(2, n),
         arguments.Floats(3, n), n);
  return arguments.Env().Undefined();
}

// addAll(inputs, out)
Napi::Value AddAllCall(const Arguments& arguments) {
  const Napi::Array list = arguments.Array(0);
  const int64_t n = arguments.Any(1).length;
  std::vector<const float*> inputs;
  for (uint32_t i = 0; i < list.Length(); ++i)
    inputs.push_back(arguments.FloatsOf(static_cast<Napi::Value>(list[i]), 0, n));
  arguments.Require(!inputs.empty(), 0, "at least one input");
  AddAll(inputs.data(), static_cast<int>(inputs.size()), arguments.Floats(1, n), n);
  return arguments.Env().Undefined();
}

// reduce(op, x, outer, n, inner, out)
Napi::Value ReduceCall(const Arguments& arguments) {
  const int64_t outer = arguments.Size(2), n = arguments.Size(3), inner = arguments.Size(4);
  Reduce(static_cast<ReduceOp>(arguments.Opcode(0, static_cast<int>(ReduceOp::kCount))),
         arguments.Floats(1, arguments.Product(2, {outer, n, inner})), outer, n, inner,
         arguments.Floats(5, arguments.Product(2, {outer, inner})));
  return arguments.Env().Undefined();
}

// copyStrided(source, sourceOffset, target, targetOffset, meta, rank); meta = [dims, source strides, target strides]
Napi::Value CopyStridedCall(const Arguments& arguments) {
  const Buffer source = arguments.Any(0), target = arguments.Any(2);
  arguments.Require(source.type == target.type, 2, "the type of the source");
  StridedCopy copy;
  copy.rank = arguments.Opcode(5, kMaxRank + 1);
  const int32_t* meta = arguments.Integers(4, 3 * copy.rank);
  const int64_t from = arguments.Size(1), to = arguments.Size(3);
  int64_t low = from, high = from, target_low = to, target_high = to;
  for (int d = 0; d < copy.rank; ++d) {
    copy.dims[d] = meta[d];
    copy.from[d] = meta[copy.rank + d];
    copy.to[d] = meta[2 * copy.rank + d];
    arguments.Require(copy.dims[d] >= 0, 4, "dims >= 0");
    if (copy.dims[d] == 0) return arguments.Env().Undefined();
    const int64_t reach = (copy.dims[d] - 1) * copy.from[d],
                  target_reach = (copy.dims[d] - 1) * copy.to[d];
    for (const int64_t distance : {reach, target_reach})
      arguments.Require(distance >= -kMostElements && distance <= kMostElements, 4,
                        "dims and strides of at most 2^40 elements");
    (reach < 0 ? low : high) += reach;
    (target_reach < 0 ? target_low : target_high) += target_reach;
  }
  arguments.Require(low >= 0 && high < source.length, 0, "a source that holds the copied block");
  arguments.Require(target_low >= 0 && target_high < target.length, 2,
                    "a target that holds the copied block");
  const int size = source.size();
  CopyStrided(copy, static_cast<const uint8_t*>(source.data) + from * size,
              static_cast<uint8_t*>(target.data) + to * size, size);
  return arguments.Env().Undefined();
}

// gather(x, indices, batch, outer, n, count, inner, out)
Napi::Value GatherCall(const Arguments& arguments) {
  const Buffer x = arguments.Any(0), out = arguments.Any(7);
  const int64_t batch = arguments.Size(2), outer = arguments.Size(3), n = arguments.Size(4);
  const int64_t count = arguments.Size(5), inner = arguments.Size(6);
  const int64_t index_count = arguments.Product(2, {batch, count});
  const int32_t* indices = arguments.Integers(1, index_count);
  arguments.Require(
      x.type == out.type && x.length >= arguments.Product(2, {batch, outer, n, inner}), 0,
      "x of the given shape");
  arguments.Require(out.length >= arguments.Product(2, {batch, outer, count, inner}), 7,
                    "an output of the given shape");
  for (int64_t i = 0; i < index_count; ++i)
    arguments.Require(indices[i] >= 0 && indices[i] < n, 1, "indices below " + std::to_string(n));
  Gather(x.data, indices, batch, outer, n, count, inner, x.size(), out.data);
  return arguments.Env().Undefined();
}

// segmentSum(x, segments, n, inner, segmentCount, out)
Napi::Value SegmentSumCall(const Arguments& arguments) {
  const int64_t n = arguments.Size(2), inner = arguments.Size(3), segments = arguments.Size(4);
  SegmentSum(arguments.Floats(0, arguments.Product(2, {n, inner})), arguments.Integers(1, n), n,
             inner, segments, arguments.Floats(5, arguments.Product(4, {segments, inner})));
  return arguments.Env().Undefined();
}

}  // namespace

void RegisterElementwise(Napi::Object exports) {
  Set<BinaryCall>(exports, "binary");
  Set<CompareCall>(exports, "compare");
  Set<UnaryCall>(exports, "unary");
  Set<SelectCall>(exports, "select");
  Set<AddAllCall>(exports, "addAll");
  Set<ReduceCall>(exports, "reduce");
  Set<CopyStridedCall>(exports, "copyStrided");
  Set<GatherCall>(exports, "gather");
  Set<SegmentSumCall>(exports, "segmentSum");
  // In the order of the enums of loops.h and reduce.h.
  exports.Set("binaryOps", Names(exports.Env(), {"add", "sub", "mul", "div", "maximum", "minimum",
                                                 "squaredDifference", "pow", "mod", "atan2",
                                                 "prelu", "eluGrad", "addRelu", "reluGrad"}));
  exports.Set("compareOps", Names(exports.Env(), {"equal", "notEqual", "greater", "greaterEqual",
                                                  "less", "lessEqual"}));
  exports.Set("unaryOps",
              Names(exports.Env(),
                    {"abs",       "neg",    "exp",        "expm1",    "log",  "log1p", "sqrt",
                     "rsqrt",     "square", "reciprocal", "sigmoid",  "tanh", "relu",  "relu6",
                     "leakyRelu", "elu",    "selu",       "softplus", "step", "sign",  "floor",
                     "ceil",      "round",  "clip",       "sin",      "cos",  "erf",   "affine"}));
  exports.Set("reduceOps", Names(exports.Env(), {"sum", "mean", "max", "min", "prod"}));
}

}  // namespace nodule::tensor
