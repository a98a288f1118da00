#include <algorithm>
#include <cstring>

#include "common/parallel.h"
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
  for (size_t i = 0; i < count; i++)
    out[i] = static_cast<float>(HuRound(HuValue(in[i], r.slope, r.intercept, r.padding_low,
                                                r.padding_high, r.clamp_low, r.clamp_high)));
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

// Writes row v of a slice to all its places.
void WriteRow(const FramesParams& p, const Places& places, size_t slice, size_t v,
              const uint8_t* gray) {
  const size_t width = p.x.size, height = p.y.size;
  for (size_t i = places.start[slice]; i < places.start[slice + 1]; i++) {
    const size_t frame = places.place[i] / p.channels, channel = places.place[i] % p.channels;
    const size_t step = p.nchw ? 1 : p.channels;
    const size_t at = p.nchw ? (places.place[i] * height + v) * width
                             : (frame * height + v) * width * p.channels + channel;
    if (p.output_float != nullptr) {
      GrayToFloat(gray, p.output_float + at, width, step, p.factor, p.offset);
    } else if (step == 1) {
      std::memcpy(p.output_uint8 + at, gray, width);
    } else {
      uint8_t* out = p.output_uint8 + at;
      for (size_t u = 0; u < width; u++) out[u * step] = gray[u];
    }
  }
}

template <typename In>
void RenderSlice(const FramesParams& p, const XPlan& plan, const Places& places, size_t slice) {
  const In* image = static_cast<const In*>(p.hu.slices[slice]);
  const Rescale rescale = {p.hu.slope[slice], p.hu.intercept[slice], p.hu.padding_low,
                           p.hu.padding_high, p.hu.clamp_low,        p.hu.clamp_high};
  const size_t columns = p.x.high - p.x.low, pitch = columns + 2 * kLanes;
  // HU lines that are still needed: as many as an output has taps, each at (row % depth).
  const size_t depth = std::max<size_t>(1, p.y.width);
  std::vector<float> ring(depth * pitch, 0), line(pitch, 0);
  std::vector<const float*> lines(depth);
  std::vector<uint8_t> gray(plan.blocks * kLanes);
  std::vector<uint8_t> outside(plan.blocks * kLanes, static_cast<uint8_t>(FrameGray(
                                                         p.outside, p.window_low, p.window_scale)));
  size_t converted = p.y.low;  // rows before this one are in the ring (or behind it)
  for (size_t v = 0; v < p.y.size; v++) {
    if (p.y.first[v] < 0) {
      WriteRow(p, places, slice, v, outside.data());
      continue;
    }
    const size_t first = p.y.first[v], count = p.y.count[v];
    converted = std::max(converted, first);
    for (; converted < first + count; converted++)
      HuLine(image + converted * p.columns + p.x.low, ring.data() + converted % depth * pitch,
             columns, rescale);
    for (size_t n = 0; n < count; n++) lines[n] = ring.data() + (first + n) % depth * pitch;
    SumLines(lines.data(), p.y.weights.data() + v * p.y.width, count, columns, line.data());
    ResampleLine(plan, line.data(), p.window_low, p.window_scale, gray.data());
    WriteRow(p, places, slice, v, gray.data());
  }
}

}  // namespace

void RenderFramesCpu(const FramesParams& p) {
  const XPlan plan(p.x, p.outside);
  const Places places(p);
  ParallelFor(p.hu.slices.size(), 1, [&](size_t begin, size_t end) {
    for (size_t slice = begin; slice < end; slice++) {
      if (places.start[slice] == places.start[slice + 1]) continue;  // no frame shows it
      switch (p.hu.stored) {
        case Stored::kUint8:
          RenderSlice<uint8_t>(p, plan, places, slice);
          break;
        case Stored::kInt16:
          RenderSlice<int16_t>(p, plan, places, slice);
          break;
        case Stored::kUint16:
          RenderSlice<uint16_t>(p, plan, places, slice);
          break;
      }
    }
  });
}

}  // namespace nodule
