#include "winograd.h"

#include <algorithm>
#include <vector>

#include "loops.h"
#include "matrix_product.h"
#include "onednn_plan.h"
#include "threads.h"

namespace nodule::tensor {
namespace {

constexpr int64_t kTile = 4, kWindow = 6, kPlanes = kWindow * kWindow;
constexpr int64_t kFilter = 9;
// Floats of the transformed tiles of a part, and of its transformed filter: they should stay in a core's caches.
constexpr int64_t kTileFloats = 1 << 19, kFilterFloats = 1 << 19;
// Smaller parts cost more than another thread saves.
constexpr int64_t kLeastTiles = 8, kLeastChannels = 16;

// An NHWC image; `data` is written where it is an output.
struct Image {
  float* data;
  int64_t batch, height, width, channels;
};

// Some of the tiles, or of the channels.
struct Range {
  int64_t first, last;
  int64_t Size() const { return last - first; }
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

// Windows of the tiles of a part of an image's first `channels`, transformed.
void TransformWindows(Loops::Transform transform, const Image& image, int64_t channels,
                      const Tiles& tiles, int64_t side, int64_t top, int64_t left,
                      const Range& range, const Planes& planes) {
  for (int64_t tile = range.first; tile < range.last; ++tile) {
    float *from[kPlanes], *to[kPlanes];
    FindPixels(image, tiles, tile, side, top, left, from);
    FindRows(planes, (tile - range.first) * channels, to);
    transform(from, to, channels);
  }
}

// Some rows and columns of a filter's 9 matrices.
struct Taps {
  float* data;
  int64_t step, rows, columns, pitch;
};

// Between the 9 numbers of each of a filter's elements and its 36 in the planes.
void TransformFilter(const Taps& filter, const Planes& planes, bool back) {
  float *taps[kFilter], *rows[kPlanes];
  for (int64_t row = 0; row < filter.rows; ++row) {
    for (int64_t i = 0; i < kFilter; ++i)
      taps[i] = filter.data + i * filter.step + row * filter.pitch;
    FindRows(planes, row * filter.columns, rows);
    if (back) {
      ActiveLoops().winograd_filter_gradient(rows, taps, filter.columns);
    } else {
      ActiveLoops().winograd_filter(taps, rows, filter.columns);
    }
  }
}

// How the work is cut: tiles into chunks, the channels of image b into blocks. Whoever does a part transforms what it needs
// for it himself, so that no thread waits for what another has in its cache.
struct Cut {
  int64_t tiles, chunks, channels, blocks;

  // Of a convolution of image a into b: parts are chunks of blocks.
  static Cut OfOutput(int64_t tiles, int64_t a_channels, int64_t b_channels) {
    Cut cut = OfFilter(tiles, a_channels, b_channels, kFilterFloats);
    const int64_t parts = int64_t{2} * ThreadCount();
    cut.chunks = std::max(cut.chunks, std::min(tiles / kLeastTiles, CeilDivide(parts, cut.blocks)));
    return cut;
  }
  // Of the gradient of a filter: parts are blocks.
  static Cut OfGradient(int64_t tiles, int64_t a_channels, int64_t b_channels) {
    const int64_t block = b_channels / std::max<int64_t>(1, b_channels / kLeastChannels);
    const int64_t least = a_channels * block * kPlanes;
    const int64_t floats = kPlanes * a_channels * b_channels / (int64_t{2} * ThreadCount());
    return OfFilter(tiles, a_channels, b_channels,
                    std::min(kFilterFloats, std::max(least, floats)));
  }

  Range Chunk(int64_t i) const { return {tiles * i / chunks, tiles * (i + 1) / chunks}; }
  Range Block(int64_t i) const { return {channels * i / blocks, channels * (i + 1) / blocks}; }

 private:
  static int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

  static Cut OfFilter(int64_t tiles, int64_t a_channels, int64_t b_channels, int64_t floats) {
    int64_t blocks = CeilDivide(kPlanes * a_channels * b_channels, floats);
    // As many for each of two threads.
    if (blocks > 1) blocks = CeilDivide(blocks, 2) * 2;
    blocks = std::min(blocks, b_channels);
    const int64_t tile = kPlanes * (a_channels + CeilDivide(b_channels, blocks));
    return {tiles, std::min(tiles, CeilDivide(tiles * tile, kTileFloats)), b_channels, blocks};
  }
};

// Chunks are of two sizes, and so are blocks; a gradient's first product is another one than those that are added to it.
constexpr int64_t kDifferentParts = 4;

// What a thread has in the arena: the tiles of a chunk of image a, of a block of image b, the filter between them.
struct Area {
  Planes a, b, filter;
  int64_t chunk = -1, block = -1;  // of which a and the filter are
};

std::vector<Area> Areas(const Cut& cut, int64_t a_channels) {
  const int64_t chunk = cut.tiles / cut.chunks + 1, block = cut.channels / cut.blocks + 1;
  const int64_t a = Planes::Step(chunk, a_channels), b = Planes::Step(chunk, block),
                filter = Planes::Step(a_channels, block);
  std::vector<Area> areas(ThreadCount());
  const int64_t floats = kPlanes * (a + b + filter);
  auto* free = reinterpret_cast<float*>(ReserveArena(sizeof(float) * floats * areas.size()));
  for (Area& area : areas) {
    area.a = {free, a};
    area.b = {free + kPlanes * a, b};
    area.filter = {free + kPlanes * (a + b), filter};
    free += floats;
  }
  return areas;
}

Image From(const Image& image, int64_t channel) {
  Image part = image;
  part.data += channel;
  return part;
}

// y = x * filter, whose taps are [x channels, y channels]: or, where `turned`, [y channels, x channels] and read from the last.
void Convolve(const Image& x, const Image& y, const float* filter, int64_t top, int64_t left,
              bool turned) {
  const Tiles tiles(y);
  const Cut cut = Cut::OfOutput(tiles.count, x.channels, y.channels);
  const int64_t size = x.channels * y.channels, parts = cut.chunks * cut.blocks;
  auto* taps = const_cast<float*>(filter);
  MakeRoomForPlans(std::min(parts, kDifferentParts));
  std::vector<const Plan*> plans;
  for (int64_t part = 0; part < parts; ++part)
    plans.push_back(&SerialProduct(false, turned, cut.Chunk(part % cut.chunks).Size(),
                                   cut.Block(part / cut.chunks).Size(), x.channels, false));
  std::vector<Area> areas = Areas(cut, x.channels);
  const Loops& loops = ActiveLoops();
  ForEachPiece(parts, [&](int64_t part, int thread) {
    Area& area = areas[thread];
    const Range chunk = cut.Chunk(part % cut.chunks), block = cut.Block(part / cut.chunks);
    const int64_t channels = block.Size();
    if (area.block != block.first)
      TransformFilter(turned ? Taps{taps + (kFilter - 1) * size + block.first * x.channels, -size,
                                    channels, x.channels, x.channels}
                             : Taps{taps + block.first, size, x.channels, channels, y.channels},
                      area.filter, false);
    if (area.chunk != chunk.first)
      TransformWindows(loops.winograd_image, x, x.channels, tiles, kWindow, top, left, chunk,
                       area.a);
    area.block = block.first;
    area.chunk = chunk.first;
    RunProducts(*plans[part], kPlanes, area.a.data, area.a.step, area.filter.data, area.filter.step,
                area.b.data, area.b.step);
    for (int64_t tile = chunk.first; tile < chunk.last; ++tile) {
      float *from[kPlanes], *to[kTile * kTile];
      FindRows(area.b, (tile - chunk.first) * channels, from);
      FindPixels(From(y, block.first), tiles, tile, kTile, 0, 0, to);
      loops.winograd_output(from, to, channels);
    }
  });
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
  return s.filter_height == 3 && s.filter_width == 3 && s.stride_height == 1 &&
         s.stride_width == 1 && s.dilation_height == 1 && s.dilation_width == 1 &&
         std::min(s.in_channels, s.out_channels) >= kChannels &&
         Pixels(s) * kFilter * s.in_channels * s.out_channels >= kWork &&
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
  const Cut cut = Cut::OfGradient(tiles.count, input.channels, output.channels);
  MakeRoomForPlans(std::min(cut.chunks * cut.blocks, 2 * kDifferentParts));
  std::vector<const Plan*> plans;
  for (int64_t i = 0; i < cut.chunks * cut.blocks; ++i)
    plans.push_back(&SerialProduct(true, false, input.channels, cut.Block(i / cut.chunks).Size(),
                                   cut.Chunk(i % cut.chunks).Size(), i % cut.chunks > 0));
  std::vector<Area> areas = Areas(cut, input.channels);
  const Loops& loops = ActiveLoops();
  ForEachPiece(cut.blocks, [&](int64_t part, int thread) {
    Area& area = areas[thread];
    const Range block = cut.Block(part);
    for (int64_t i = 0; i < cut.chunks; ++i) {
      const Range chunk = cut.Chunk(i);
      if (area.chunk != chunk.first)
        TransformWindows(loops.winograd_image, input, input.channels, tiles, kWindow, s.pad_top,
                         s.pad_left, chunk, area.a);
      area.chunk = chunk.first;
      TransformWindows(loops.winograd_output_gradient, From(output, block.first), block.Size(),
                       tiles, kTile, 0, 0, chunk, area.b);
      RunProducts(*plans[part * cut.chunks + i], kPlanes, area.a.data, area.a.step, area.b.data,
                  area.b.step, area.filter.data, area.filter.step);
    }
    TransformFilter({d_filter + block.first, input.channels * output.channels, input.channels,
                     block.Size(), output.channels},
                    area.filter, true);
  });
}

}  // namespace nodule::tensor
