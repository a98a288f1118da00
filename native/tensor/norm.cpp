#include "norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "loops.h"
#include "threads.h"

namespace nodule::tensor {
namespace {

// Rows a block: about 128 KiB of x, so that sums stay short and blocks fit a second-level cache.
int64_t BlockRows(int64_t channels) {
  return std::max<int64_t>(16, 32768 / std::max<int64_t>(1, channels));
}

// Two sums per channel over all rows: `block(first_row, rows, sum1, sum2)` fills those of one block in float;
// the blocks are added in double, in order, so the thread count does not matter.
template <typename Block>
void TwoSums(int64_t rows, int64_t channels, const Block& block, std::vector<double>& total) {
  const int64_t size = BlockRows(channels);
  const int64_t blocks = (rows + size - 1) / size;
  std::vector<float> partial(static_cast<size_t>(blocks * 2 * channels), 0.0f);
  ParallelFor(blocks, std::max<int64_t>(1, kGrain / (size * channels)),
              [&](int64_t begin, int64_t end) {
                for (int64_t b = begin; b < end; ++b) {
                  float* sums = partial.data() + b * 2 * channels;
                  block(b * size, std::min(size, rows - b * size), sums, sums + channels);
                }
              });
  total.assign(static_cast<size_t>(2 * channels), 0.0);
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t c = 0; c < 2 * channels; ++c) total[c] += partial[b * 2 * channels + c];
}

struct Affine {
  std::vector<float> scale, offset;
};

Affine AffineOf(const NormShape& s, const float* gamma, const float* beta, const float* mean,
                const float* variance) {
  Affine a{std::vector<float>(s.channels), std::vector<float>(s.channels)};
  for (int64_t c = 0; c < s.channels; ++c) {
    const double scale = (gamma != nullptr ? gamma[c] : 1.0) /
                         std::sqrt(static_cast<double>(variance[c]) + s.epsilon);
    a.scale[c] = static_cast<float>(scale);
    a.offset[c] = static_cast<float>((beta != nullptr ? beta[c] : 0.0) - mean[c] * scale);
  }
  return a;
}

void Normalize(const NormShape& s, const float* x, const Affine& a, float* y) {
  const auto loop = ActiveLoops().normalize;
  ParallelFor(s.rows, std::max<int64_t>(1, kGrain / s.channels), [&](int64_t begin, int64_t end) {
    loop(x + begin * s.channels, a.scale.data(), a.offset.data(), s.relu, end - begin, s.channels,
         y + begin * s.pitch, s.pitch);
  });
}

}  // namespace

void BatchNormTraining(const NormShape& s, const float* x, const float* gamma, const float* beta,
                       float* y, float* mean, float* variance) {
  if (s.rows == 0 || s.channels == 0) return;
  const auto moments = ActiveLoops().moments;
  // Shifted by the first row: no cancellation when the mean is far from 0.
  const float* shift = x;
  std::vector<double> sums;
  TwoSums(
      s.rows, s.channels,
      [&](int64_t first, int64_t rows, float* sum, float* squares) {
        moments(x + first * s.channels, shift, rows, s.channels, sum, squares);
      },
      sums);
  const double n = static_cast<double>(s.rows);
  for (int64_t c = 0; c < s.channels; ++c) {
    const double d = sums[c] / n;
    mean[c] = static_cast<float>(shift[c] + d);
    const double square = sums[s.channels + c] / n - d * d;
    // Not std::max, which gives 0 for NaN.
    variance[c] = static_cast<float>(square < 0 ? 0 : square);
  }
  Normalize(s, x, AffineOf(s, gamma, beta, mean, variance), y);
}

void BatchNormInference(const NormShape& s, const float* x, const float* gamma, const float* beta,
                        const float* mean, const float* variance, float* y) {
  if (s.rows == 0 || s.channels == 0) return;
  Normalize(s, x, AffineOf(s, gamma, beta, mean, variance), y);
}

void BatchNormGradient(const NormShape& s, const float* x, const float* dy, const float* gamma,
                       const float* beta, const float* mean, const float* variance, float* dx,
                       float* d_gamma, float* d_beta) {
  if (s.rows == 0 || s.channels == 0) return;
  const Loops& loops = ActiveLoops();
  const Affine affine = AffineOf(s, gamma, beta, mean, variance);
  std::vector<double> sums;
  TwoSums(
      s.rows, s.channels,
      [&](int64_t first, int64_t rows, float* g, float* gx) {
        loops.norm_gradient_sums(x + first * s.channels, dy + first * s.pitch, s.pitch, mean,
                                 affine.scale.data(), affine.offset.data(), s.relu, rows,
                                 s.channels, g, gx);
      },
      sums);
  // dx = scale * (g - sum(g)/n - xhat * sum(g*xhat)/n), written as g*a + x*b + c.
  std::vector<float> a(s.channels), b(s.channels), c0(s.channels);
  const double n = static_cast<double>(s.rows);
  for (int64_t c = 0; c < s.channels; ++c) {
    const double inverse = 1.0 / std::sqrt(static_cast<double>(variance[c]) + s.epsilon);
    const double scale = (gamma != nullptr ? gamma[c] : 1.0) * inverse;
    const double sum_g = sums[c], sum_gxhat = sums[s.channels + c] * inverse;
    d_beta[c] = static_cast<float>(sum_g);
    d_gamma[c] = static_cast<float>(sum_gxhat);
    a[c] = static_cast<float>(scale);
    b[c] = static_cast<float>(-scale * sum_gxhat / n * inverse);
    c0[c] = static_cast<float>(-scale * sum_g / n + scale * sum_gxhat / n * inverse * mean[c]);
  }
  ParallelFor(s.rows, std::max<int64_t>(1, kGrain / s.channels), [&](int64_t begin, int64_t end) {
    loops.norm_gradient(x + begin * s.channels, dy + begin * s.pitch, s.pitch, affine.scale.data(),
                        affine.offset.data(), a.data(), b.data(), c0.data(), s.relu, end - begin,
                        s.channels, dx + begin * s.channels);
  });
}

}  // namespace nodule::tensor
