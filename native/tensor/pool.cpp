#include "pool.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "loops.h"
#include "threads.h"

namespace nodule::tensor {
namespace {

// The filter taps of one axis that fall inside the image for one output position.
struct Taps {
  int64_t first, last;  // tap numbers, last exclusive
  int64_t start;        // image position of tap 0
};

Taps TapsOf(int64_t out, int64_t stride, int64_t pad, int64_t filter, int64_t dilation,
            int64_t size) {
  const int64_t start = out * stride - pad;
  int64_t first = 0;
  while (first < filter && start + first * dilation < 0) ++first;
  int64_t last = filter;
  while (last > first && start + (last - 1) * dilation >= size) --last;
  return {first, last, start};
}

// Calls tap(image_offset, tap_number) for the valid taps of an output pixel; returns how many there were.
template <typename Tap>
int64_t ForTaps(const PoolShape& s, int64_t n, int64_t y, int64_t x, const Tap& tap) {
  const Taps rows =
      TapsOf(y, s.stride_height, s.pad_top, s.filter_height, s.dilation_height, s.in_height);
  const Taps columns =
      TapsOf(x, s.stride_width, s.pad_left, s.filter_width, s.dilation_width, s.in_width);
  for (int64_t r = rows.first; r < rows.last; ++r) {
    const int64_t line =
        (n * s.in_height + rows.start + r * s.dilation_height) * s.in_width + columns.start;
    for (int64_t c = columns.first; c < columns.last; ++c)
      tap((line + c * s.dilation_width) * s.channels, static_cast<int32_t>(r * s.filter_width + c));
  }
  return std::max<int64_t>(0, rows.last - rows.first) *
         std::max<int64_t>(0, columns.last - columns.first);
}

// Calls pixel(n, y, x) for output pixels; threads share output rows.
template <typename Pixel>
void ForOutputs(const PoolShape& s, const Pixel& pixel) {
  const int64_t work = s.out_width * s.channels * s.filter_height * s.filter_width;
  ParallelFor(s.batch * s.out_height, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, work)),
              [&](int64_t begin, int64_t end) {
                for (int64_t row = begin; row < end; ++row)
                  for (int64_t x = 0; x < s.out_width; ++x)
                    pixel(row / s.out_height, row % s.out_height, x);
              });
}

// Calls part(n, first_channel, last_channel): for gradients, where windows overlap and threads must not share a pixel.
template <typename Part>
void ForChannelParts(const PoolShape& s, const Part& part) {
  const int64_t width = std::min<int64_t>(s.channels, 32);
  const int64_t parts = (s.channels + width - 1) / width;
  ParallelFor(s.batch * parts, 1, [&](int64_t begin, int64_t end) {
    // Neighbouring parts of one image go together, in longer runs.
    while (begin < end) {
      const int64_t n = begin / parts;
      const int64_t stop = std::min(end, (n + 1) * parts);
      part(n, (begin - n * parts) * width, std::min(s.channels, (stop - n * parts) * width));
      begin = stop;
    }
  });
}

}  // namespace

void MaxPool(const PoolShape& s, const float* x, float* y) {
  const auto update = ActiveLoops().max_update;
  ForOutputs(s, [&](int64_t n, int64_t oy, int64_t ox) {
    float* best = y + ((n * s.out_height + oy) * s.out_width + ox) * s.channels;
    bool first = true;
    ForTaps(s, n, oy, ox, [&](int64_t offset, int32_t) {
      if (first) {
        std::memcpy(best, x + offset, static_cast<size_t>(s.channels) * sizeof(float));
      } else {
        update(x + offset, best, s.channels);
      }
      first = false;
    });
    if (first) std::fill(best, best + s.channels, -INFINITY);
  });
}

void AveragePool(const PoolShape& s, const float* x, float* y) {
  const Loops& loops = ActiveLoops();
  const auto add = loops.binary[static_cast<int>(BinaryOp::kAdd)][0];
  const auto scale = loops.unary[static_cast<int>(UnaryOp::kAffine)];
  ForOutputs(s, [&](int64_t n, int64_t oy, int64_t ox) {
    float* sum = y + ((n * s.out_height + oy) * s.out_width + ox) * s.channels;
    std::fill(sum, sum + s.channels, 0.0f);
    const int64_t count = ForTaps(
        s, n, oy, ox, [&](int64_t offset, int32_t) { add(sum, x + offset, sum, s.channels); });
    scale(sum, sum, s.channels, 1.0f / static_cast<float>(count), 0.0f);
  });
}

void MaxPoolGradient(const PoolShape& s, const float* x, const float* dy, float* dx) {
  const auto gradient = ActiveLoops().max_gradient;
  ForChannelParts(s, [&](int64_t n, int64_t c0, int64_t c1) {
    const int64_t width = c1 - c0;
    std::vector<const float*> from(static_cast<size_t>(s.filter_height * s.filter_width));
    std::vector<float*> to(from.size());
    for (int64_t i = 0; i < s.in_height * s.in_width; ++i)
      std::fill_n(dx + (n * s.in_height * s.in_width + i) * s.channels + c0, width, 0.0f);
    for (int64_t oy = 0; oy < s.out_height; ++oy)
      for (int64_t ox = 0; ox < s.out_width; ++ox) {
        int taps = 0;
        ForTaps(s, n, oy, ox, [&](int64_t offset, int32_t) {
          from[taps] = x + offset + c0;
          to[taps++] = dx + offset + c0;
        });
        const int64_t pixel = (n * s.out_height + oy) * s.out_width + ox;
        gradient(from.data(), to.data(), taps, dy + pixel * s.channels + c0, width);
      }
  });
}

void AveragePoolGradient(const PoolShape& s, const float* dy, float* dx) {
  const auto add_scaled = ActiveLoops().add_scaled;
  ForChannelParts(s, [&](int64_t n, int64_t c0, int64_t c1) {
    const int64_t width = c1 - c0;
    for (int64_t i = 0; i < s.in_height * s.in_width; ++i)
      std::fill_n(dx + (n * s.in_height * s.in_width + i) * s.channels + c0, width, 0.0f);
    for (int64_t oy = 0; oy < s.out_height; ++oy)
      for (int64_t ox = 0; ox < s.out_width; ++ox) {
        const float* gradient = dy + ((n * s.out_height + oy) * s.out_width + ox) * s.channels + c0;
        const int64_t count = ForTaps(s, n, oy, ox, [](int64_t, int32_t) {});
        const float share = 1.0f / static_cast<float>(count);
        ForTaps(s, n, oy, ox, [&](int64_t offset, int32_t) {
          add_scaled(gradient, share, dx + offset + c0, width);
        });
      }
  });
}

}  // namespace nodule::tensor
