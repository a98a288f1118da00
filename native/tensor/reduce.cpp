#include "reduce.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "loops.h"
#include "threads.h"

namespace nodule::tensor {
namespace {

constexpr int64_t kBlock = 8192;

float Start(ReduceOp op) {
  switch (op) {
    case ReduceOp::kMax:
      return -INFINITY;
    case ReduceOp::kMin:
      return INFINITY;
    case ReduceOp::kProd:
      return 1.0f;
    default:
      return 0.0f;
  }
}

// One contiguous run of any length.
float Run(ReduceOp op, const float* x, int64_t n) {
  const Loops& loops = ActiveLoops();
  switch (op) {
    case ReduceOp::kMax:
      return loops.maximum(x, n);
    case ReduceOp::kMin:
      return loops.minimum(x, n);
    case ReduceOp::kProd:
      return loops.product(x, n);
    default:
      break;
  }
  if (n <= kBlock) return loops.sum(x, n);
  double total = 0;
  for (int64_t i = 0; i < n; i += kBlock)
    total += loops.sum(x + i, n - i < kBlock ? n - i : kBlock);
  return static_cast<float>(total);
}

// inner == 1, few long rows: blocks of all rows in parallel, then added in order.
void LongRows(ReduceOp op, const float* x, int64_t outer, int64_t n, float* out) {
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  std::vector<float> partial(static_cast<size_t>(outer * blocks));
  ParallelFor(outer * blocks, 2, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t start = i % blocks * kBlock;
      partial[i] = Run(op, x + i / blocks * n + start, n - start < kBlock ? n - start : kBlock);
    }
  });
  for (int64_t o = 0; o < outer; ++o) {
    if (op == ReduceOp::kSum || op == ReduceOp::kMean) {
      double total = 0;
      for (int64_t b = 0; b < blocks; ++b) total += partial[o * blocks + b];
      out[o] = static_cast<float>(total);
    } else {
      out[o] = Run(op, partial.data() + o * blocks, blocks);
    }
  }
}

void Columns(ReduceOp op, const float* x, int64_t outer, int64_t n, int64_t inner, float* out) {
  const Loops& loops = ActiveLoops();
  const auto fold = op == ReduceOp::kMax    ? loops.max_rows
                    : op == ReduceOp::kMin  ? loops.min_rows
                    : op == ReduceOp::kProd ? loops.multiply_rows
                                            : loops.add_rows;
  const int64_t rows = std::max<int64_t>(64, kBlock / inner);  // rows a block
  const int64_t blocks = (n + rows - 1) / rows;
  std::vector<float> partial(static_cast<size_t>(outer * blocks * inner), Start(op));
  ParallelFor(outer * blocks, std::max<int64_t>(1, kGrain / (rows * inner)),
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  const int64_t start = i % blocks * rows;
                  fold(x + (i / blocks * n + start) * inner, n - start < rows ? n - start : rows,
                       inner, partial.data() + i * inner);
                }
              });
  for (int64_t o = 0; o < outer; ++o) {
    float* target = out + o * inner;
    for (int64_t c = 0; c < inner; ++c) target[c] = Start(op);
    fold(partial.data() + o * blocks * inner, blocks, inner, target);
  }
}

}  // namespace

void Reduce(ReduceOp op, const float* x, int64_t outer, int64_t n, int64_t inner, float* out) {
  if (outer == 0 || inner == 0) return;
  if (n == 0) {
    for (int64_t i = 0; i < outer * inner; ++i) out[i] = op == ReduceOp::kMean ? NAN : Start(op);
    return;
  }
  if (inner > 1) {
    Columns(op, x, outer, n, inner, out);
  } else if (n > 2 * kBlock) {
    LongRows(op, x, outer, n, out);
  } else {
    ParallelFor(outer, (kGrain + n - 1) / n, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) out[o] = Run(op, x + o * n, n);
    });
  }
  if (op == ReduceOp::kMean) {
    const float count = static_cast<float>(n);
    for (int64_t i = 0; i < outer * inner; ++i) out[i] /= count;
  }
}

double SumOfSquares(const std::vector<FloatRange>& arrays) {
  const auto sum = ActiveLoops().sum_squares;
  std::vector<int64_t> sizes;
  std::vector<std::vector<float>> partial;  // of the blocks of each
  for (const FloatRange& array : arrays) {
    sizes.push_back(array.n);
    partial.emplace_back(static_cast<size_t>((array.n + kBlock - 1) / kBlock));
  }
  static_assert(kRun % kBlock == 0, "a block is in one run");
  ForEachRun(sizes, [&](size_t array, int64_t begin, int64_t end) {
    for (int64_t start = begin; start < end; start += kBlock)
      partial[array][static_cast<size_t>(start / kBlock)] =
          sum(arrays[array].data + start, end - start < kBlock ? end - start : kBlock);
  });
  double total = 0;
  for (const std::vector<float>& blocks : partial) {
    double one = 0;
    for (const float value : blocks) one += value;
    total += one;
  }
  return total;
}

}  // namespace nodule::tensor
