#include "elementwise.h"

#include <cstring>

#include "threads.h"

namespace nodule::tensor {
namespace {

// Calls row(offset_a, offset_b, offset_out, length) for every innermost run of the output.
template <typename Row>
void ForRows(const Broadcast& s, const Row& row) {
  if (s.rank == 0) {
    row(int64_t{0}, int64_t{0}, int64_t{0}, int64_t{1});
    return;
  }
  const int inner = s.rank - 1;
  const int64_t length = s.dims[inner];
  int64_t rows = 1;
  for (int d = 0; d < inner; ++d) rows *= s.dims[d];
  if (length == 0 || rows == 0) return;
  if (rows == 1) {
    ParallelFor(length, kGrain, [&](int64_t begin, int64_t end) {
      row(begin * s.stride_a[inner], begin * s.stride_b[inner], begin, end - begin);
    });
    return;
  }
  ParallelFor(rows, (kGrain + length - 1) / length, [&](int64_t begin, int64_t end) {
    int64_t index[kMaxRank] = {};
    int64_t a = 0, b = 0;
    int64_t rest = begin;
    for (int d = inner - 1; d >= 0; --d) {
      index[d] = rest % s.dims[d];
      rest /= s.dims[d];
      a += index[d] * s.stride_a[d];
      b += index[d] * s.stride_b[d];
    }
    for (int64_t r = begin; r < end; ++r) {
      row(a, b, r * length, length);
      for (int d = inner - 1; d >= 0; --d) {
        a += s.stride_a[d];
        b += s.stride_b[d];
        if (++index[d] < s.dims[d]) break;
        a -= s.stride_a[d] * s.dims[d];
        b -= s.stride_b[d] * s.dims[d];
        index[d] = 0;
      }
    }
  });
}

int Mode(const Broadcast& s) {
  if (s.rank == 0) return static_cast<int>(Operands::kBoth);
  if (s.stride_b[s.rank - 1] == 0 && s.dims[s.rank - 1] != 1)
    return static_cast<int>(Operands::kScalarB);
  if (s.stride_a[s.rank - 1] == 0 && s.dims[s.rank - 1] != 1)
    return static_cast<int>(Operands::kScalarA);
  return static_cast<int>(Operands::kBoth);
}

}  // namespace

void Binary(BinaryOp op, const Broadcast& shape, const float* a, const float* b, float* out) {
  const BinaryLoop loop = ActiveLoops().binary[static_cast<int>(op)][Mode(shape)];
  ForRows(shape, [&](int64_t oa, int64_t ob, int64_t oo, int64_t n) {
    loop(a + oa, b + ob, out + oo, n);
  });
}

void Compare(CompareOp op, const Broadcast& shape, const float* a, const float* b, uint8_t* out) {
  const CompareLoop loop = ActiveLoops().compare[static_cast<int>(op)][Mode(shape)];
  ForRows(shape, [&](int64_t oa, int64_t ob, int64_t oo, int64_t n) {
    loop(a + oa, b + ob, out + oo, n);
  });
}

void Unary(UnaryOp op, const float* x, float* out, int64_t n, float alpha, float beta) {
  const UnaryLoop loop = ActiveLoops().unary[static_cast<int>(op)];
  ParallelFor(n, kGrain, [&](int64_t b, int64_t e) { loop(x + b, out + b, e - b, alpha, beta); });
}

void Select(const uint8_t* condition, const float* a, const float* b, float* out, int64_t n) {
  const auto loop = ActiveLoops().select;
  ParallelFor(n, kGrain,
              [&](int64_t i, int64_t e) { loop(condition + i, a + i, b + i, out + i, e - i); });
}

void AddAll(const float* const* inputs, int count, float* out, int64_t n) {
  const auto add = ActiveLoops().binary[static_cast<int>(BinaryOp::kAdd)][0];
  if (count == 1) {
    std::memcpy(out, inputs[0], static_cast<size_t>(n) * sizeof(float));
    return;
  }
  // In blocks that stay in the cache, so that `out` is written to memory once.
  constexpr int64_t kBlock = 4096;
  ParallelFor(n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kBlock) {
      const int64_t length = end - i < kBlock ? end - i : kBlock;
      add(inputs[0] + i, inputs[1] + i, out + i, length);
      for (int k = 2; k < count; ++k) add(out + i, inputs[k] + i, out + i, length);
    }
  });
}

}  // namespace nodule::tensor
