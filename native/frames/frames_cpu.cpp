#include <algorithm>
#include <cstring>

#include "common/parallel.h"
#include "common/stream_store.h"
#include "frames/frames.h"
#include "frames/frames_kernel.h"
#include "frames/hu_line.h"
#include "frames/resample_x.h"
#include "frames/write_planes.h"

namespace nodule {
namespace {

// line = sum of weights[n] * lines[n], in the order of n.
NODULE_CLONES void SumLines(const float* const* lines, const float* weights, size_t taps,
                            size_t count, float* __restrict line) {
  const float *a = lines[0], *b = lines[std::min<size_t>(1, taps - 1)];
  const float *c = lines[std::min<size_t>(2, taps - 1)], *d = lines[std::min<size_t>(3, taps - 1)];
  const float wa = weights[0], wb = taps > 1 ? weights[1] : 0, wc = taps > 2 ? weights[2] : 0,
              wd = taps > 3 ? weights[3] : 0;
  if (taps <= 2) {
    for (size_t i = 0; i < count; i++) line[i] = wa * a[i] + wb * b[i];
  } else if (taps == 3) {
    for (size_t i = 0; i < count; i++) line[i] = (wa * a[i] + wb * b[i]) + wc * c[i];
  } else {
    for (size_t i = 0; i < count; i++) line[i] = ((wa * a[i] + wb * b[i]) + wc * c[i]) + wd * d[i];
  }
  for (size_t n = 4; n < taps; n++) {
    const float *in = lines[n], weight = weights[n];
    for (size_t i = 0; i < count; i++) line[i] += weight * in[i];
  }
}

// Rows are fetched this far ahead, because the processor's own prefetching stops at each gap. Small
// gaps between the used parts of rows are fetched too: reading on is faster than jumping.
constexpr size_t kPrefetchRows = 8;
constexpr size_t kSmallGap = 512;

inline void Prefetch(const char* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(from + i);
}

// Zeros from the start of a cache line on: loads across two lines take twice as long.
class AlignedFloats {
 public:
  explicit AlignedFloats(size_t count) : lines_(count / 16 + 1) {}
  float* data() { return lines_.data()->values; }

 private:
  struct alignas(kCacheLine) Line {
    float values[16] = {};
  };
  std::vector<Line> lines_;
};

// What a thread needs for a slice; reused for the next one.
struct Scratch {
  size_t columns, pitch, depth;
  AlignedFloats ring;   // HU lines that are still needed: line of row r at (r % depth)
  AlignedFloats lines;  // [kRowsAtOnce]: summed along y; they stay in the L1 cache
  std::vector<const float*> taps;
  PlaneWriter::Buffer gray;

  Scratch(const FramesParams& p, const PlaneWriter& writer)
      : columns((p.x.high - p.x.low + kFloatLanes - 1) / kFloatLanes * kFloatLanes),
        pitch(columns + 2 * kFloatLanes),
        depth(std::max<size_t>(1, p.y.width)),
        ring(depth * pitch),
        lines(kRowsAtOnce * pitch),
        taps(depth),
        gray(writer) {}
};

// `next`: the slice to be rendered after this one (or this one again), whose first rows are
// fetched meanwhile.
void RenderSlice(const FramesParams& p, const XPlan& plan, const PlaneWriter& writer, size_t slice,
                 size_t next, Scratch& scratch) {
  const size_t used = p.x.high - p.x.low, gray_pitch = plan.blocks.size() * kFloatLanes;
  const size_t bytes = p.hu.stored == Stored::kUint8 ? 1 : 2;
  const auto row_of = [&](size_t of, size_t row) {
    return static_cast<const char*>(p.hu.slices[of]) + (row * p.columns + p.x.low) * bytes;
  };
  const size_t row_bytes = p.columns * bytes, used_bytes = used * bytes;
  const size_t fetched = row_bytes - used_bytes <= kSmallGap ? row_bytes : used_bytes;
  const HuLines hu(p.hu, slice);
  const auto ring_line = [&](size_t row) {
    return scratch.ring.data() + row % scratch.depth * scratch.pitch;
  };
  const uint8_t outside = static_cast<uint8_t>(FrameGray(p.outside_level));
  size_t converted = p.y.low;  // the rows before this one have been converted
  size_t waiting = 0;          // lines that were summed and not yet resampled, of the rows before v
  const auto finish_rows = [&](size_t v) {
    ResampleLines(plan, scratch.lines.data(), scratch.pitch, waiting, scratch.gray.rows(),
                  gray_pitch);
    writer.Write(slice, v - waiting, waiting, scratch.gray);
    waiting = 0;
  };
  for (size_t v = 0; v < p.y.size; v++) {
    if (p.y.first[v] < 0) {
      finish_rows(v);
      std::memset(scratch.gray.rows(), outside, gray_pitch);
      writer.Write(slice, v, 1, scratch.gray);
      continue;
    }
    const size_t first = p.y.first[v], count = p.y.count[v];
    for (converted = std::max(converted, first); converted < first + count; converted++) {
      const size_t ahead = converted + kPrefetchRows;
      if (ahead < p.y.high)
        Prefetch(row_of(slice, ahead), fetched);
      else if (p.y.low + (ahead - p.y.high) < p.y.high)
        Prefetch(row_of(next, p.y.low + (ahead - p.y.high)), fetched);
      hu.Convert(row_of(slice, converted), ring_line(converted), used);
    }
    for (size_t n = 0; n < count; n++) scratch.taps[n] = ring_line(first + n);
    SumLines(scratch.taps.data(), p.y.weights.data() + v * p.y.width, count, scratch.columns,
             scratch.lines.data() + waiting * scratch.pitch);
    if (++waiting == kRowsAtOnce) finish_rows(v + 1);
  }
  finish_rows(p.y.size);
}

}  // namespace

void RenderFramesCpu(const FramesParams& p) {
  const XPlan plan(p);
  const PlaneWriter writer(p, plan.blocks.size() * kFloatLanes);
  const size_t slices = p.hu.slices.size();
  const size_t grain = std::max<size_t>(1, std::min<size_t>(4, slices / 16));
  ParallelFor(slices, grain, [&](size_t begin, size_t end) {
    Scratch scratch(p, writer);
    for (size_t slice = begin; slice < end; slice++)
      if (writer.Shows(slice))
        RenderSlice(p, plan, writer, slice, std::min(slice + 1, end - 1), scratch);
    writer.Finish();
  });
}

}  // namespace nodule
