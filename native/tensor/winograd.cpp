#include "winograd.h"

#include <algorithm>

#include "loops.h"
#include "matrix_product.h"
#include "onednn_plan.h"
#include "threads.h"

namespace nodule::tensor {
namespace {

constexpr int64_t kTile = 4, kWindow = 6, kPlanes = kWindow * kWindow;
constexpr int64_t kFilter = 9;
// Floats of the transformed tiles that are in work at once: they should stay in a cache.
constexpr int64_t kChunk = 1 << 20;

// An NHWC image; `data` is written where it is an output.
struct Image {
  float* data;
  int64_t batch, height, width, channels;
};

// A matrix for each of the 36 numbers of a tile.
struct Planes {
  float* data;
  int64_t step;
  // Beginnings that a power of two lies between would share one set of the first cache.
  static int64_t Step(int64_t rows, int64_t columns) { return (rows * columns + 31) / 16 * 16; }
};

// The tiles of 4x4 that cover an image, numbered row by row.
struct Tiles {
  int64_t rows, columns, count;
  explicit Tiles(const Image& covered)
      : rows((covered.height + kTile - 1) / kTile),
        columns((covered.width + kTile - 1) / kTile),
        count(covered.batch * rows * columns) {}
};

// The pixels of a tile's window of side x side, which begins `top` and `left` of the tile; null outside of the image.
void FindPixels(const Image& image, const Tiles& tiles, int64_t tile, int64_t side, int64_t top,
                int64_t left, float** pixels) {
  const int64_t n = tile / (tiles.rows * tiles.columns);
  const int64_t first_row = tile / tiles.columns % tiles.rows * kTile - top;
  const int64_t first_column = tile % tiles.columns * kTile - left;
  for (int64_t r = first_row; r < first_row + side; ++r)
    for (int64_t c = first_column; c < first_column + side; ++c)
      *pixels++ = r < 0 || r >= image.height || c < 0 || c >= image.width
                      ? nullptr
                      : image.data + ((n * image.height + r) * image.width + c) * image.channels;
}

void FindRows(const Planes& planes, int64_t offset, float** rows) {
  for (int64_t p = 0; p < kPlanes; ++p) rows[p] = planes.data + p * planes.step + offset;
}

template <typename Body>
void ForTiles(int64_t first, int64_t last, int64_t channels, const Body& body) {
  const int64_t grain = std::max<int64_t>(1, kGrain / (kPlanes * channels));
  ParallelFor(last - first, grain, [&](int64_t begin, int64_t end) {
    for (int64_t tile = first + begin; tile < first + end; ++tile) body(tile);
  });
}

// Windows of tiles [first, last) of an image, transformed; their rows in the planes count from `first`.
void TransformWindows(Loops::Transform transform, const Image& image, const Tiles& tiles,
                      int64_t side, int64_t top, int64_t left, int64_t first, int64_t last,
                      const Planes& planes) {
  ForTiles(first, last, image.channels, [&](int64_t tile) {
    float *from[kPlanes], *to[kPlanes];
    FindPixels(image, tiles, tile, side, top, left, from);
    FindRows(planes, (tile - first) * image.channels, to);
    transform(from, to, image.channels);
  });
}

// Between the 9 numbers of a filter's element, `filter_step` apart, and its 36 in the planes.
void TransformFilter(float* filter, int64_t filter_step, const Planes& planes, int64_t size,
                     bool back) {
  ParallelFor(size, kGrain / kFilter, [&](int64_t begin, int64_t end) {
    float *taps[kFilter], *rows[kPlanes];
    for (int64_t i = 0; i < kFilter; ++i) taps[i] = filter + i * filter_step + begin;
    FindRows(planes, begin, rows);
    if (back) {
      ActiveLoops().winograd_filter_gradient(rows, taps, end - begin);
    } else {
      ActiveLoops().winograd_filter(taps, rows, end - begin);
    }
  });
}

// The arena as planes of two images' channels for one chunk of tiles, and of the filter.
struct Work {
  int64_t chunk;
  Planes a, b, filter;
  Work(int64_t tiles, int64_t a_channels, int64_t b_channels) {
    const int64_t most = std::max<int64_t>(kTile, kChunk / (kPlanes * (a_channels + b_channels)));
    const int64_t chunks = (tiles + most - 1) / most;
    chunk = (tiles + chunks - 1) / chunks;
    a.step = Planes::Step(chunk, a_channels);
    b.step = Planes::Step(chunk, b_channels);
    filter.step = Planes::Step(a_channels, b_channels);
    a.data = reinterpret_cast<float*>(
        ReserveArena(sizeof(float) * kPlanes * (a.step + b.step + filter.step)));
    b.data = a.data + kPlanes * a.step;
    filter.data = b.data + kPlanes * b.step;
  }
};

// y = x * filter, whose taps are [x channels, y channels]: or, where `turned`, [y channels, x channels] and read from the last.
void Convolve(const Image& x, const Image& y, const float* filter, int64_t top, int64_t left,
              bool turned) {
  const Tiles tiles(y);
  const Work work(tiles.count, x.channels, y.channels);
  const int64_t size = x.channels * y.channels;
  auto* taps = const_cast<float*>(filter);
  TransformFilter(turned ? taps + (kFilter - 1) * size : taps, turned ? -size : size, work.filter,
                  size, false);
  const Loops& loops = ActiveLoops();
  for (int64_t first = 0; first < tiles.count; first += work.chunk) {
    const int64_t last = std::min(tiles.count, first + work.chunk);
    TransformWindows(loops.winograd_image, x, tiles, kWindow, top, left, first, last, work.a);
    MatMuls(kPlanes, false, turned, last - first, y.channels, x.channels, work.a.data, work.a.step,
            work.filter.data, work.filter.step, work.b.data, work.b.step, false);
    ForTiles(first, last, y.channels, [&](int64_t tile) {
      float *from[kPlanes], *to[kTile * kTile];
      FindRows(work.b, (tile - first) * y.channels, from);
      FindPixels(y, tiles, tile, kTile, 0, 0, to);
      loops.winograd_output(from, to, y.channels);
    });
  }
}

Image InputOf(const ConvShape& s, const float* data) {
  return {const_cast<float*>(data), s.batch, s.in_height, s.in_width, s.in_channels};
}
Image OutputOf(const ConvShape& s, const float* data) {
  return {const_cast<float*>(data), s.batch, s.out_height, s.out_width, s.out_channels};
}

}  // namespace

bool IsWinograd(const ConvShape& s) {
  constexpr int64_t kChannels = 32, kTiles = 20, kWork = 16 << 20;
  const int64_t pixels = s.batch * s.out_height * s.out_width;
  return s.filter_height == 3 && s.filter_width == 3 && s.stride_height == 1 &&
         s.stride_width == 1 && s.dilation_height == 1 && s.dilation_width == 1 &&
         std::min(s.in_channels, s.out_channels) >= kChannels &&
         pixels * kFilter * s.in_channels * s.out_channels >= kWork &&
         Tiles(OutputOf(s, nullptr)).count >= kTiles && !Bfloat16();
}

void WinogradForward(const ConvShape& s, const float* x, const float* filter, float* y) {
  Convolve(InputOf(s, x), OutputOf(s, y), filter, s.pad_top, s.pad_left, false);
}

void WinogradBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx) {
  Convolve(OutputOf(s, dy), InputOf(s, dx), filter, s.filter_height - 1 - s.pad_top,
           s.filter_width - 1 - s.pad_left, true);
}

void WinogradBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* d_filter) {
  const Image input = InputOf(s, x), output = OutputOf(s, dy);
  const Tiles tiles(output);
  const Work work(tiles.count, input.channels, output.channels);
  const Loops& loops = ActiveLoops();
  for (int64_t first = 0; first < tiles.count; first += work.chunk) {
    const int64_t last = std::min(tiles.count, first + work.chunk);
    TransformWindows(loops.winograd_image, input, tiles, kWindow, s.pad_top, s.pad_left, first,
                     last, work.a);
    TransformWindows(loops.winograd_output_gradient, output, tiles, kTile, 0, 0, first, last,
                     work.b);
    MatMuls(kPlanes, true, false, input.channels, output.channels, last - first, work.a.data,
            work.a.step, work.b.data, work.b.step, work.filter.data, work.filter.step, first > 0);
  }
  const int64_t size = input.channels * output.channels;
  TransformFilter(d_filter, size, work.filter, size, true);
}

}  // namespace nodule::tensor
