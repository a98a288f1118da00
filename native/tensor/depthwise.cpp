#include "depthwise.h"

#include <algorithm>
#include <vector>

#include "loops.h"
#include "threads.h"

namespace nodule::tensor {
namespace {

// Pairs of channel vectors whose products make one pixel; one list a thread.
struct Pairs {
  std::vector<const float*> a, b;
  void Clear() {
    a.clear();
    b.clear();
  }
  void Add(const float* one, const float* other) {
    a.push_back(one);
    b.push_back(other);
  }
  void SumTo(float* out, int64_t channels) const {
    ActiveLoops().sum_products(a.data(), b.data(), static_cast<int64_t>(a.size()), out, channels);
  }
};

Pairs& ThreadPairs() {
  thread_local Pairs pairs;
  return pairs;
}

int64_t RowGrain(int64_t width, const ConvShape& s) {
  const int64_t work = width * s.in_channels * s.filter_height * s.filter_width;
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, work));
}

// The gradient of the filter from output rows [begin, end), added to d_filter.
void AddFilterGradient(const ConvShape& s, const float* x, const float* dy, int64_t begin,
                       int64_t end, float* d_filter) {
  const int64_t c = s.in_channels;
  Pairs& pairs = ThreadPairs();
  for (int64_t row = begin; row < end; ++row) {
    const int64_t n = row / s.out_height;
    for (int64_t r = 0; r < s.filter_height; ++r) {
      const int64_t in_row =
          row % s.out_height * s.stride_height - s.pad_top + r * s.dilation_height;
      if (in_row < 0 || in_row >= s.in_height) continue;
      const float* line = x + (n * s.in_height + in_row) * s.in_width * c;
      for (int64_t q = 0; q < s.filter_width; ++q) {
        pairs.Clear();
        for (int64_t ox = 0; ox < s.out_width; ++ox) {
          const int64_t column = ox * s.stride_width - s.pad_left + q * s.dilation_width;
          if (column >= 0 && column < s.in_width)
            pairs.Add(line + column * c, dy + (row * s.out_width + ox) * c);
        }
        pairs.SumTo(d_filter + (r * s.filter_width + q) * c, c);
      }
    }
  }
}

}  // namespace

void DepthwiseForward(const ConvShape& s, const float* x, const float* filter, float* y) {
  const int64_t c = s.in_channels;
  const auto pixel = [&](int64_t row, int64_t ox) {
    Pairs& pairs = ThreadPairs();
    pairs.Clear();
    const int64_t n = row / s.out_height;
    const int64_t top = row % s.out_height * s.stride_height - s.pad_top;
    const int64_t left = ox * s.stride_width - s.pad_left;
    for (int64_t r = 0; r < s.filter_height; ++r) {
      const int64_t in_row = top + r * s.dilation_height;
      if (in_row < 0 || in_row >= s.in_height) continue;
      for (int64_t q = 0; q < s.filter_width; ++q) {
        const int64_t column = left + q * s.dilation_width;
        if (column >= 0 && column < s.in_width)
          pairs.Add(x + ((n * s.in_height + in_row) * s.in_width + column) * c,
                    filter + (r * s.filter_width + q) * c);
      }
    }
    float* out = y + (row * s.out_width + ox) * c;
    std::fill(out, out + c, 0.0f);
    pairs.SumTo(out, c);
  };
  ParallelFor(s.batch * s.out_height, RowGrain(s.out_width, s), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t ox = 0; ox < s.out_width; ++ox) pixel(row, ox);
  });
}

void DepthwiseBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx) {
  const int64_t c = s.in_channels;
  // Gathered: each input pixel asks for the outputs that read it, so that no two threads write the same.
  const auto pixel = [&](int64_t row, int64_t ix) {
    Pairs& pairs = ThreadPairs();
    pairs.Clear();
    const int64_t n = row / s.in_height;
    for (int64_t r = 0; r < s.filter_height; ++r) {
      const int64_t oy = OutputOf(row % s.in_height, r, s.pad_top, s.stride_height,
                                  s.dilation_height, s.out_height);
      if (oy < 0) continue;
      for (int64_t q = 0; q < s.filter_width; ++q) {
        const int64_t ox =
            OutputOf(ix, q, s.pad_left, s.stride_width, s.dilation_width, s.out_width);
        if (ox >= 0)
          pairs.Add(dy + ((n * s.out_height + oy) * s.out_width + ox) * c,
                    filter + (r * s.filter_width + q) * c);
      }
    }
    float* out = dx + (row * s.in_width + ix) * c;
    std::fill(out, out + c, 0.0f);
    pairs.SumTo(out, c);
  };
  ParallelFor(s.batch * s.in_height, RowGrain(s.in_width, s), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t ix = 0; ix < s.in_width; ++ix) pixel(row, ix);
  });
}

void DepthwiseBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* d_filter) {
  const int64_t size = s.filter_height * s.filter_width * s.in_channels;
  const int64_t rows = s.batch * s.out_height;
  const int64_t block = RowGrain(s.out_width, s);
  const int64_t blocks = (rows + block - 1) / block;
  std::vector<float> sums(static_cast<size_t>(blocks * size), 0.0f);
  ParallelFor(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      AddFilterGradient(s, x, dy, b * block, std::min(rows, (b + 1) * block),
                        sums.data() + b * size);
  });
  std::fill(d_filter, d_filter + size, 0.0f);
  const auto add = ActiveLoops().binary[static_cast<int>(BinaryOp::kAdd)][0];
  for (int64_t b = 0; b < blocks; ++b) add(d_filter, sums.data() + b * size, d_filter, size);
}

}  // namespace nodule::tensor
