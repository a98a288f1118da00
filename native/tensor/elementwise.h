// Elementwise kernels with NumPy-style broadcasting.
#pragma once

#include <cstdint>

#include "loops.h"

namespace nodule::tensor {

constexpr int kMaxRank = 8;

/// The iteration space of a broadcast: row-major dims of the output, and for each operand its stride in
/// elements along every dim (0 where it is repeated). The last stride of an operand is 0 or 1.
struct Broadcast {
  int rank = 0;
  int64_t dims[kMaxRank];
  int64_t stride_a[kMaxRank];
  int64_t stride_b[kMaxRank];
};

/// out[i] = a[i] op b[i] over the broadcast; out is dense.
void Binary(BinaryOp op, const Broadcast& shape, const float* a, const float* b, float* out);
void Compare(CompareOp op, const Broadcast& shape, const float* a, const float* b, uint8_t* out);
/// out[i] = op(x[i]); alpha and beta belong to the op: Step and LeakyRelu slope (alpha), Clip low and high,
/// Affine factor and summand.
void Unary(UnaryOp op, const float* x, float* out, int64_t n, float alpha, float beta);
/// out[i] = condition[i] ? a[i] : b[i].
void Select(const uint8_t* condition, const float* a, const float* b, float* out, int64_t n);
/// out = sum of the inputs, in their order.
void AddAll(const float* const* inputs, int count, float* out, int64_t n);

}  // namespace nodule::tensor
