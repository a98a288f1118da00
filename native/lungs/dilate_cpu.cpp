#include <algorithm>

#include "common/parallel.h"
#include "lungs/bits.h"
#include "lungs/lungs.h"

namespace nodule {
namespace {

NODULE_CLONES void Pack(const uint8_t* in, size_t rows, size_t voxels, bool invert,
                        uint64_t* words) {
  const size_t step = WordsOf(voxels);
  const uint8_t flip = invert ? 1 : 0;
  for (size_t row = 0; row < rows; row++)
    PackRow(in + row * voxels, voxels, words + row * step,
            [flip](uint8_t value) { return ((value == 1 ? 1 : 0) ^ flip) == 1; });
}

NODULE_CLONES void Unpack(const uint64_t* words, size_t rows, size_t voxels, bool invert,
                          uint8_t* out) {
  const size_t step = WordsOf(voxels);
  for (size_t row = 0; row < rows; row++)
    UnpackRow(words + row * step, voxels, invert ? 1 : 0, out + row * voxels);
}

NODULE_CLONES void Or(const uint64_t* __restrict from, uint64_t* __restrict to, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] |= from[i];
}

// Dilates the rows of one slice in x from `have` to `want` voxels to each side.
void Widen(uint64_t* words, size_t rows, size_t voxels, size_t have, size_t want) {
  const size_t step = WordsOf(voxels);
  std::vector<uint64_t> copy(step);
  while (have < want) {
    // A run that the row's end cuts off may be no longer than this; spread further, its copies would
    // leave a gap.
    const size_t shift = std::min(want - have, have + 1);
    for (size_t row = 0; row < rows; row++)
      SpreadRow(words + row * step, voxels, shift, copy.data());
    have += shift;
  }
}

}  // namespace

// The ball's rows in the order of their widths: the mask is widened in x step by step, and at each
// width shifted copies of its slices are joined to the result.
void Dilate(const DilateParams& p) {
  if (p.shape.Voxels() == 0) return;
  const auto [nz, ny, nx] = p.shape;
  const size_t step = WordsOf(nx), slice = ny * step;
  std::vector<uint64_t> wide(nz * slice), joined(nz * slice);
  std::vector<BallRow> ball = p.ball;
  for (BallRow& row : ball) row.half = std::min<int64_t>(row.half, static_cast<int64_t>(nx));
  std::stable_sort(ball.begin(), ball.end(),
                   [](const BallRow& a, const BallRow& b) { return a.half < b.half; });
  ParallelFor(nz, 1, [&](size_t begin, size_t end) {
    for (size_t z = begin; z < end; z++)
      Pack(p.mask + z * ny * nx, ny, nx, p.invert, wide.data() + z * slice);
  });
  int64_t have = 0;
  for (size_t first = 0; first < ball.size();) {
    const int64_t half = ball[first].half;
    size_t last = first;
    while (last < ball.size() && ball[last].half == half) last++;
    if (half > have)
      ParallelFor(nz, 1, [&](size_t begin, size_t end) {
        for (size_t z = begin; z < end; z++)
          Widen(wide.data() + z * slice, ny, nx, static_cast<size_t>(have),
                static_cast<size_t>(half));
      });
    have = half;
    ParallelFor(nz, 1, [&](size_t begin, size_t end) {
      const int64_t rows = static_cast<int64_t>(ny);
      for (size_t z = begin; z < end; z++)
        for (size_t n = first; n < last; n++) {
          const int64_t from_z = static_cast<int64_t>(z) - ball[n].z, shift = ball[n].y;
          if (from_z < 0 || from_z >= static_cast<int64_t>(nz) || std::abs(shift) >= rows) continue;
          const int64_t y = std::max<int64_t>(0, shift);  // the first row that has a source
          Or(wide.data() + static_cast<size_t>(from_z) * slice +
                 static_cast<size_t>(y - shift) * step,
             joined.data() + z * slice + static_cast<size_t>(y) * step,
             static_cast<size_t>(rows - std::abs(shift)) * step);
        }
    });
    first = last;
  }
  ParallelFor(nz, 1, [&](size_t begin, size_t end) {
    for (size_t z = begin; z < end; z++)
      Unpack(joined.data() + z * slice, ny, nx, p.invert, p.output + z * ny * nx);
  });
}

}  // namespace nodule
