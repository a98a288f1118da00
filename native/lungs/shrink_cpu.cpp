#include <algorithm>

#include "common/parallel.h"
#include "lungs/lungs.h"
#include "lungs/lungs_kernel.h"

namespace nodule {
namespace {

NODULE_CLONES void AddRow(const int16_t* __restrict in, int32_t* __restrict sums, size_t count) {
  for (size_t i = 0; i < count; i++) sums[i] += in[i];
}

// The blocks of one row from the sums of its columns, which fit 32 bits: 128 * 128 * 2^15.
NODULE_CLONES void JoinColumns(const int32_t* __restrict sums, size_t columns, size_t factor,
                               size_t rows, int16_t* __restrict out) {
  const size_t full = columns / factor;
  const double count = static_cast<double>(rows * factor);
  for (size_t x = 0; x < full; x++) {
    int64_t sum = 0;
    for (size_t i = 0; i < factor; i++) sum += sums[x * factor + i];
    out[x] = BlockMean(sum, count);
  }
  const size_t rest = columns - full * factor;
  if (rest == 0) return;
  int64_t sum = 0;
  for (size_t i = 0; i < rest; i++) sum += sums[full * factor + i];
  out[full] = BlockMean(sum, static_cast<double>(rows * rest));
}

}  // namespace

void Shrink(const ShrinkParams& p) {
  const Shape small = Blocks(p.shape, p.factors);
  ParallelFor(small.z * small.y, 8, [&](size_t begin, size_t end) {
    std::vector<int32_t> sums(p.shape.x);
    for (size_t row = begin; row < end; row++) {
      std::fill(sums.begin(), sums.end(), 0);
      const size_t k1 = row / small.y * p.factors.z, k2 = std::min(p.shape.z, k1 + p.factors.z);
      const size_t j1 = row % small.y * p.factors.y, j2 = std::min(p.shape.y, j1 + p.factors.y);
      for (size_t k = k1; k < k2; k++)
        for (size_t j = j1; j < j2; j++)
          AddRow(p.data + (k * p.shape.y + j) * p.shape.x, sums.data(), p.shape.x);
      JoinColumns(sums.data(), p.shape.x, p.factors.x, (k2 - k1) * (j2 - j1),
                  p.output + row * small.x);
    }
  });
}

}  // namespace nodule
