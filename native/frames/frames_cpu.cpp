#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "common/parallel.h"
#include "common/stream_store.h"
#include "frames/frames.h"
#include "frames/frames_kernel.h"
#include "frames/resample_x.h"
#include "hu/hu_kernel.h"

namespace nodule {
namespace {

struct Rescale {
  float slope, intercept;
  int padding_low, padding_high;
  float clamp_low, clamp_high;
};

template <typename In>
NODULE_HD void Hu(const In* __restrict in, float* __restrict out, size_t count, const Rescale& r) {
  if (r.slope != 1 || !(std::abs(r.intercept) <= 65536) ||
      r.intercept != static_cast<float>(static_cast<int>(r.intercept))) {
    for (size_t i = 0; i < count; i++)
      out[i] = static_cast<float>(HuRound(HuValue(in[i], r.slope, r.intercept, r.padding_low,
                                                  r.padding_high, r.clamp_low, r.clamp_high)));
    return;
  }
  // Whole numbers: nothing to round.
  const int shift = static_cast<int>(r.intercept), low = static_cast<int>(r.clamp_low),
            high = static_cast<int>(r.clamp_high);
  const bool no_padding = r.padding_low > r.padding_high;
  if (no_padding && std::numeric_limits<In>::min() + shift >= low &&
      std::numeric_limits<In>::max() + shift <= high) {
    for (size_t i = 0; i < count; i++) out[i] = static_cast<float>(in[i] + shift);
    return;
  }
  // One comparison instead of two: below the padding the difference wraps round to a large number.
  const uint32_t span = no_padding ? 0 : static_cast<uint32_t>(r.padding_high - r.padding_low);
  const int padding = no_padding ? 1 << 17 : r.padding_low;
  for (size_t i = 0; i < count; i++) {
    const int stored = in[i];
    const int value =
        static_cast<uint32_t>(stored - padding) <= span ? static_cast<int>(kAirHu) : stored + shift;
    out[i] = static_cast<float>(std::min(std::max(value, low), high));
  }
}
NODULE_CLONES void HuLine(const uint8_t* in, float* out, size_t count, const Rescale& r) {
  Hu(in, out, count, r);
}
NODULE_CLONES void HuLine(const int16_t* in, float* out, size_t count, const Rescale& r) {
  Hu(in, out, count, r);
}
NODULE_CLONES void HuLine(const uint16_t* in, float* out, size_t count, const Rescale& r) {
  Hu(in, out, count, r);
}

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

NODULE_CLONES void GrayToFloat(const uint8_t* __restrict gray, float* __restrict out, size_t count,
                               size_t step, float factor, float offset) {
  if (step == 1) {
    for (size_t i = 0; i < count; i++) out[i] = FrameInput(gray[i], factor, offset);
  } else {
    for (size_t i = 0; i < count; i++) out[i * step] = FrameInput(gray[i], factor, offset);
  }
}

// The places [frames, channels] that each slice goes to.
struct Places {
  std::vector<size_t> start;  // [slices + 1]
  std::vector<size_t> place;
  explicit Places(const FramesParams& p)
      : start(p.hu.slices.size() + 1, 0), place(p.sources.size()) {
    for (const int32_t s : p.sources) start[s + 1]++;
    for (size_t s = 0; s + 1 < start.size(); s++) start[s + 1] += start[s];
    std::vector<size_t> next(start.begin(), start.end() - 1);
    for (size_t i = 0; i < p.sources.size(); i++) place[next[p.sources[i]]++] = i;
  }
};

// Writes the plane of a slice, whose rows are `pitch` apart, to all its places.
void WritePlane(const FramesParams& p, const Places& places, size_t slice, const uint8_t* gray,
                size_t pitch, bool stream) {
  const size_t width = p.x.size, height = p.y.size, pixels = width * height;
  for (size_t i = places.start[slice]; i < places.start[slice + 1]; i++) {
    const size_t frame = places.place[i] / p.channels, channel = places.place[i] % p.channels;
    const size_t step = p.nchw ? 1 : p.channels;
    const size_t at = p.nchw ? places.place[i] * pixels : frame * pixels * p.channels + channel;
    if (p.output_uint8 != nullptr && step == 1 && pitch == width) {
      if (stream)
        StreamCopy(p.output_uint8 + at, gray, pixels);
      else
        std::memcpy(p.output_uint8 + at, gray, pixels);
      continue;
    }
    for (size_t v = 0; v < height; v++) {
      const uint8_t* row = gray + v * pitch;
      if (p.output_float != nullptr) {
        GrayToFloat(row, p.output_float + at + v * width * step, width, step, p.factor, p.offset);
      } else {
        uint8_t* out = p.output_uint8 + at + v * width * step;
        for (size_t u = 0; u < width; u++) out[u * step] = row[u];
      }
    }
  }
}

// Part of each row of the image is read: the processor's own prefetching stops at each gap.
constexpr size_t kPrefetchRows = 16;

inline void Prefetch(const void* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(static_cast<const char*>(from) + i);
}

// Rows of the frame that are summed before they are resampled along x: their lines fit the L1
// cache.
constexpr size_t kRowsAtOnce = 8;

// What a thread needs for a slice; reused for the next one.
struct Scratch {
  size_t columns, pitch, depth, gray_pitch;
  std::vector<float> ring;   // HU lines that are still needed: line of row r at (r % depth)
  std::vector<float> lines;  // [kRowsAtOnce]
  std::vector<const float*> taps;
  std::vector<uint8_t> gray;  // the plane

  Scratch(const FramesParams& p, const XPlan& plan)
      : columns(p.x.high - p.x.low),
        pitch(columns + 2 * kLanes),
        depth(std::max<size_t>(1, p.y.width)),
        gray_pitch(plan.blocks * kLanes),
        ring(depth * pitch, 0),
        lines(kRowsAtOnce * pitch, 0),
        taps(depth),
        gray(gray_pitch * p.y.size) {}
};

template <typename In>
void RenderSlice(const FramesParams& p, const XPlan& plan, size_t slice, Scratch& scratch) {
  const In* image = static_cast<const In*>(p.hu.slices[slice]);
  const Rescale rescale = {p.hu.slope[slice], p.hu.intercept[slice], p.hu.padding_low,
                           p.hu.padding_high, p.hu.clamp_low,        p.hu.clamp_high};
  const auto ring_line = [&](size_t row) {
    return scratch.ring.data() + row % scratch.depth * scratch.pitch;
  };
  const uint8_t outside = static_cast<uint8_t>(FrameGray(p.outside_level));
  size_t converted = p.y.low;  // the rows before this one have been converted
  size_t waiting = 0;          // lines that were summed and not yet resampled, of the rows before v
  const auto resample = [&](size_t v) {
    ResampleLines(plan, scratch.lines.data(), scratch.pitch, waiting,
                  scratch.gray.data() + (v - waiting) * scratch.gray_pitch, scratch.gray_pitch);
    waiting = 0;
  };
  for (size_t v = 0; v < p.y.size; v++) {
    if (p.y.first[v] < 0) {
      resample(v);
      std::memset(scratch.gray.data() + v * scratch.gray_pitch, outside, scratch.gray_pitch);
      continue;
    }
    const size_t first = p.y.first[v], count = p.y.count[v];
    for (converted = std::max(converted, first); converted < first + count; converted++) {
      if (converted + kPrefetchRows < p.y.high)
        Prefetch(image + (converted + kPrefetchRows) * p.columns + p.x.low,
                 scratch.columns * sizeof(In));
      HuLine(image + converted * p.columns + p.x.low, ring_line(converted), scratch.columns,
             rescale);
    }
    for (size_t n = 0; n < count; n++) scratch.taps[n] = ring_line(first + n);
    SumLines(scratch.taps.data(), p.y.weights.data() + v * p.y.width, count, scratch.columns,
             scratch.lines.data() + waiting * scratch.pitch);
    if (++waiting == kRowsAtOnce) resample(v + 1);
  }
  resample(p.y.size);
}

}  // namespace

void RenderFramesCpu(const FramesParams& p) {
  const XPlan plan(p);
  const Places places(p);
  const size_t slices = p.hu.slices.size();
  const bool stream = p.sources.size() * p.x.size * p.y.size >= kStreamBytes;
  ParallelFor(slices, std::max<size_t>(1, std::min<size_t>(4, slices / 16)),
              [&](size_t begin, size_t end) {
                Scratch scratch(p, plan);
                for (size_t slice = begin; slice < end; slice++) {
                  if (places.start[slice] == places.start[slice + 1])
                    continue;  // no frame shows it
                  switch (p.hu.stored) {
                    case Stored::kUint8:
                      RenderSlice<uint8_t>(p, plan, slice, scratch);
                      break;
                    case Stored::kInt16:
                      RenderSlice<int16_t>(p, plan, slice, scratch);
                      break;
                    case Stored::kUint16:
                      RenderSlice<uint16_t>(p, plan, slice, scratch);
                      break;
                  }
                  WritePlane(p, places, slice, scratch.gray.data(), scratch.gray_pitch, stream);
                }
                if (stream) StreamFence();
              });
}

}  // namespace nodule
