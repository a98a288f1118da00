#include <algorithm>
#include <vector>

#include "common/parallel.h"
#include "roi_align/roi_align.h"
#include "roi_align/roi_align_kernel.h"

namespace nodule {
namespace {

// A corner of a sample: its offset from the image's first element, and its weight in the bin's
// mean.
struct Corner {
  size_t at;
  float weight;
};

// Distances between neighbours, in elements.
struct Strides {
  size_t image, y, x, c;   // features
  size_t box, bin, bin_c;  // output
  explicit Strides(const RoiAlignParams& p)
      : image(p.height * p.width * p.channels),
        y(p.nhwc ? p.width * p.channels : p.width),
        x(p.nhwc ? p.channels : 1),
        c(p.nhwc ? 1 : p.height * p.width),
        box(p.bins_y * p.bins_x * p.channels),
        bin(p.nhwc ? p.channels : 1),
        bin_c(p.nhwc ? 1 : p.bins_y * p.bins_x) {}
};

// The corners of all samples of one bin.
struct BinCorners {
  std::vector<Corner> corners;

  void Make(const RoiAlignParams& p, const Strides& strides, const RoiBox& r, size_t bin) {
    corners.clear();
    const int by = static_cast<int>(bin / p.bins_x), bx = static_cast<int>(bin % p.bins_x);
    const float count = RoiCount(r);
    for (int iy = 0; iy < r.grid_y; iy++) {
      const RoiPlace y = RoiLocate(RoiCoordinate(r.start_y, r.bin_height, by, iy, r.grid_y),
                                   static_cast<int>(p.height));
      for (int ix = 0; ix < r.grid_x; ix++) {
        const RoiPlace x = RoiLocate(RoiCoordinate(r.start_x, r.bin_width, bx, ix, r.grid_x),
                                     static_cast<int>(p.width));
        if (!x.valid || !y.valid) continue;
        Add(strides, y.p0, x.p0, (1.0f - y.t) * (1.0f - x.t) / count);
        Add(strides, y.p0, x.p1, (1.0f - y.t) * x.t / count);
        Add(strides, y.p1, x.p0, y.t * (1.0f - x.t) / count);
        Add(strides, y.p1, x.p1, y.t * x.t / count);
      }
    }
  }

 private:
  void Add(const Strides& strides, int y, int x, float weight) {
    if (weight != 0) corners.push_back({y * strides.y + x * strides.x, weight});
  }
};

RoiBox MakeBox(const RoiAlignParams& p, size_t box) {
  return RoiMakeBox(p.box + box * 4, p.scale, p.aligned, static_cast<int>(p.bins_x),
                    static_cast<int>(p.bins_y), p.sampling_ratio);
}

// out[c * out_step] = sum over corners of weight * image[at + c * step]
NODULE_CLONES void Gather(const float* __restrict image, const Corner* corners, size_t corner_count,
                          size_t step, size_t channels, float* __restrict out, size_t out_step) {
  if (step == 1 && out_step == 1) {
    for (size_t c = 0; c < channels; c++) out[c] = 0;
    for (size_t k = 0; k < corner_count; k++) {
      const float* in = image + corners[k].at;
      const float weight = corners[k].weight;
      for (size_t c = 0; c < channels; c++) out[c] += weight * in[c];
    }
    return;
  }
  for (size_t c = 0; c < channels; c++) {
    float sum = 0;
    for (size_t k = 0; k < corner_count; k++)
      sum += corners[k].weight * image[corners[k].at + c * step];
    out[c * out_step] = sum;
  }
}

// image[at + c * step] += weight * gradient[c * gradient_step]
NODULE_CLONES void Scatter(float* __restrict image, const Corner* corners, size_t corner_count,
                           size_t step, size_t channels, const float* __restrict gradient,
                           size_t gradient_step) {
  if (step == 1 && gradient_step == 1) {
    for (size_t k = 0; k < corner_count; k++) {
      float* to = image + corners[k].at;
      const float weight = corners[k].weight;
      for (size_t c = 0; c < channels; c++) to[c] += weight * gradient[c];
    }
    return;
  }
  for (size_t c = 0; c < channels; c++) {
    const float g = gradient[c * gradient_step];
    for (size_t k = 0; k < corner_count; k++)
      image[corners[k].at + c * step] += corners[k].weight * g;
  }
}

constexpr size_t kBoxesAtOnce = 4;
constexpr size_t kChannelsAtOnce = 64;

}  // namespace

void RoiAlignForwardCpu(const RoiAlignParams& p) {
  const Strides strides(p);
  const size_t bins = p.bins_x * p.bins_y;
  ParallelFor(p.boxes, kBoxesAtOnce, [&](size_t begin, size_t end) {
    BinCorners bin_corners;
    for (size_t box = begin; box < end; box++) {
      const RoiBox r = MakeBox(p, box);
      const float* image = p.features + p.images[box] * strides.image;
      for (size_t bin = 0; bin < bins; bin++) {
        bin_corners.Make(p, strides, r, bin);
        Gather(image, bin_corners.corners.data(), bin_corners.corners.size(), strides.c, p.channels,
               p.output + box * strides.box + bin * strides.bin, strides.bin_c);
      }
    }
  });
}

void RoiAlignGradientCpu(const RoiAlignParams& p) {
  const Strides strides(p);
  const size_t bins = p.bins_x * p.bins_y;
  std::fill_n(p.gradient_features, p.FeatureCount(), 0.0f);
  // Each task owns some channels of all images: no two write the same place, and sums keep their
  // order.
  const size_t tasks = (p.channels + kChannelsAtOnce - 1) / kChannelsAtOnce;
  ParallelFor(tasks, 1, [&](size_t begin, size_t end) {
    BinCorners bin_corners;
    for (size_t task = begin; task < end; task++) {
      const size_t c = task * kChannelsAtOnce, count = std::min(kChannelsAtOnce, p.channels - c);
      for (size_t box = 0; box < p.boxes; box++) {
        const RoiBox r = MakeBox(p, box);
        float* image = p.gradient_features + p.images[box] * strides.image + c * strides.c;
        for (size_t bin = 0; bin < bins; bin++) {
          bin_corners.Make(p, strides, r, bin);
          Scatter(image, bin_corners.corners.data(), bin_corners.corners.size(), strides.c, count,
                  p.gradient + box * strides.box + bin * strides.bin + c * strides.bin_c,
                  strides.bin_c);
        }
      }
    }
  });
}

}  // namespace nodule
