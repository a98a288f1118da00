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

// Calls tap(image_offset, image_row, number) for the valid taps of an output pixel; returns how many there were.
template <typename Tap>
int64_t ForTaps(const PoolShape& s, int64_t n, int64_t y, int64_t x, const Tap& tap) {
  const Taps rows =
      TapsOf(y, s.stride_height, s.pad_top, s.filter_height, s.dilation_height, s.in_height);
  const Taps columns =
      TapsOf(x, s.stride_width, s.pad_left, s.filter_width, s.dilation_width, s.in_width);
  for (int64_t r = rows.first; r < rows.last; ++r) {
    const int64_t row = rows.start + r * s.dilation_height;
    const int64_t line = (n * s.in_height + row) * s.in_width + columns.start;
    for (int64_t c = columns.first; c < columns.last; ++c)
      tap((line + c * s.dilation_width) * s.channels, row, r * s.filter_width + c);
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

// A run of rows of one image of the input: its part of a gradient, which no other thread touches.
struct Band {
  int64_t n, first, last;  // rows, last exclusive
  bool Has(int64_t row) const { return row >= first && row < last; }
};

// Calls pixel(band, n, y, x) for the output pixels whose windows touch a band, after the band of dx was filled with 0.
// Threads share input rows. A pixel of the input gets its summands in the order of the outputs, whatever the bands.
template <typename Pixel>
void ForBands(const PoolShape& s, float* dx, const Pixel& pixel) {
  const int64_t row_size = s.in_width * s.channels;
  const int64_t reach = (s.filter_height - 1) * s.dilation_height;
  const auto one = [&](const Band& band) {
    float* rows = dx + (band.n * s.in_height + band.first) * row_size;
    std::fill(rows, rows + (band.last - band.first) * row_size, 0.0f);
    const int64_t behind = band.first + s.pad_top - reach + s.stride_height - 1;
    const int64_t first = behind > 0 ? behind / s.stride_height : 0;
    const int64_t last = std::min(s.out_height, (band.last - 1 + s.pad_top) / s.stride_height + 1);
    for (int64_t y = first; y < last; ++y)
      for (int64_t x = 0; x < s.out_width; ++x) pixel(band, band.n, y, x);
  };
  ParallelFor(s.batch * s.in_height, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, row_size)),
              [&](int64_t begin, int64_t end) {
                while (begin < end) {
                  const int64_t n = begin / s.in_height;
                  const int64_t stop = std::min(end, (n + 1) * s.in_height);
                  one({n, begin - n * s.in_height, stop - n * s.in_height});
                  begin = stop;
                }
              });
}

// An output whose window holds an input, on one axis.
struct Window {
  int64_t out, tap;
};

// The windows that hold each position of an axis, by rising output: at most `filter` of them.
struct Windows {
  int64_t filter;
  std::vector<Window> all;
  std::vector<int64_t> counts;

  Windows(int64_t positions, int64_t stride, int64_t pad, int64_t taps, int64_t dilation,
          int64_t outputs)
      : filter(taps), all(positions * taps), counts(positions, 0) {
    for (int64_t out = 0; out < outputs; ++out) {
      const Taps valid = TapsOf(out, stride, pad, filter, dilation, positions);
      for (int64_t tap = valid.first; tap < valid.last; ++tap) {
        const int64_t at = valid.start + tap * dilation;
        all[at * filter + counts[at]++] = {out, tap};
      }
    }
  }
  template <typename Visit>
  void Of(int64_t position, const Visit& visit) const {
    for (int64_t i = 0; i < counts[position]; ++i) visit(all[position * filter + i]);
  }
};

}  // namespace

void MaxPool(const PoolShape& s, const float* x, float* y, uint8_t* places) {
  const auto best = ActiveLoops().max_window;
  const auto window = static_cast<size_t>(s.filter_height * s.filter_width);
  ForOutputs(s, [&](int64_t n, int64_t oy, int64_t ox) {
    thread_local std::vector<const float*> from;
    thread_local std::vector<int32_t> numbers;
    from.resize(window);
    numbers.resize(window);
    int taps = 0;
    ForTaps(s, n, oy, ox, [&](int64_t offset, int64_t, int64_t number) {
      from[taps] = x + offset;
      numbers[taps++] = static_cast<int32_t>(number);
    });
    const int64_t at = ((n * s.out_height + oy) * s.out_width + ox) * s.channels;
    if (taps == 0) {
      std::fill(y + at, y + at + s.channels, -INFINITY);
      if (places != nullptr) std::fill(places + at, places + at + s.channels, kMostTaps);
    } else {
      best(from.data(), numbers.data(), taps, s.channels, y + at,
           places == nullptr ? nullptr : places + at);
    }
  });
}

void AveragePool(const PoolShape& s, const float* x, float* y) {
  const Loops& loops = ActiveLoops();
  const auto add = loops.binary[static_cast<int>(BinaryOp::kAdd)][0];
  const auto scale = loops.unary[static_cast<int>(UnaryOp::kAffine)];
  ForOutputs(s, [&](int64_t n, int64_t oy, int64_t ox) {
    float* sum = y + ((n * s.out_height + oy) * s.out_width + ox) * s.channels;
    std::fill(sum, sum + s.channels, 0.0f);
    const int64_t count = ForTaps(s, n, oy, ox, [&](int64_t offset, int64_t, int64_t) {
      add(sum, x + offset, sum, s.channels);
    });
    scale(sum, sum, s.channels, 1.0f / static_cast<float>(count), 0.0f);
  });
}

void MaxPoolGradient(const PoolShape& s, const uint8_t* places, const float* dy, float* dx) {
  const auto gather = ActiveLoops().max_gradient;
  const Windows rows(s.in_height, s.stride_height, s.pad_top, s.filter_height, s.dilation_height,
                     s.out_height);
  const Windows columns(s.in_width, s.stride_width, s.pad_left, s.filter_width, s.dilation_width,
                        s.out_width);
  // A pixel of the input looks at the windows that hold it: no two threads write the same one.
  const auto one = [&](int64_t n, int64_t y) {
    thread_local std::vector<MaxSource> sources;
    sources.resize(static_cast<size_t>(s.filter_height * s.filter_width));
    for (int64_t x = 0; x < s.in_width; ++x) {
      int count = 0;
      rows.Of(y, [&](const Window& row) {
        columns.Of(x, [&](const Window& column) {
          const int64_t pixel = (n * s.out_height + row.out) * s.out_width + column.out;
          sources[count++] = {places + pixel * s.channels, dy + pixel * s.channels,
                              static_cast<int32_t>(row.tap * s.filter_width + column.tap)};
        });
      });
      gather(sources.data(), count, s.channels,
             dx + ((n * s.in_height + y) * s.in_width + x) * s.channels);
    }
  };
  const int64_t work = s.in_width * s.channels;
  ParallelFor(s.batch * s.in_height, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, work)),
              [&](int64_t begin, int64_t end) {
                for (int64_t row = begin; row < end; ++row)
                  one(row / s.in_height, row % s.in_height);
              });
}

void AveragePoolGradient(const PoolShape& s, const float* dy, float* dx) {
  const auto add_scaled = ActiveLoops().add_scaled;
  ForBands(s, dx, [&](const Band& band, int64_t n, int64_t oy, int64_t ox) {
    const float* gradient = dy + ((n * s.out_height + oy) * s.out_width + ox) * s.channels;
    const int64_t count = ForTaps(s, n, oy, ox, [](int64_t, int64_t, int64_t) {});
    const float share = 1.0f / static_cast<float>(count);
    ForTaps(s, n, oy, ox, [&](int64_t offset, int64_t row, int64_t) {
      if (band.Has(row)) add_scaled(gradient, share, dx + offset, s.channels);
    });
  });
}

}  // namespace nodule::tensor
