#include <algorithm>

#include "common/lanes.h"
#include "common/parallel.h"
#include "rezoom/rezoom.h"
#include "rezoom/rezoom_kernel.h"

namespace nodule {
namespace {

// Distances between neighbours in the feature map, in elements.
struct Strides {
  size_t image, y, x, c;
  explicit Strides(const RezoomParams& p)
      : image(p.height * p.width * p.channels),
        y(p.nhwc ? p.width * p.channels : p.width),
        x(p.nhwc ? p.channels : 1),
        c(p.nhwc ? 1 : p.height * p.width) {}
};

// The four corners of a sample as offsets from the image's first element.
struct Corners {
  size_t at[4];
  float weight[4];
  Corners(const RezoomSample& s, const Strides& strides) {
    at[0] = s.y0 * strides.y + s.x0 * strides.x;
    at[1] = s.y0 * strides.y + s.x1 * strides.x;
    at[2] = s.y1 * strides.y + s.x0 * strides.x;
    at[3] = s.y1 * strides.y + s.x1 * strides.x;
    RezoomWeights(s, weight);
  }
};

// Calls visit(sample index, sample) for each sample of a box.
template <typename Visit>
inline void ForSamples(const RezoomParams& p, const float* box, const Visit& visit) {
  size_t index = 0;
  for (const float offset_y : p.offsets_y)
    for (const float offset_x : p.offsets_x)
      visit(index++, RezoomLocate(box, offset_x, offset_y, p.stride, static_cast<int>(p.height),
                                  static_cast<int>(p.width)));
}

NODULE_CLONES void Blend(const float* __restrict image, const Corners& corners, size_t step,
                         size_t count, float* __restrict out) {
  const float *p0 = image + corners.at[0], *p1 = image + corners.at[1], *p2 = image + corners.at[2],
              *p3 = image + corners.at[3];
  const float w0 = corners.weight[0], w1 = corners.weight[1], w2 = corners.weight[2],
              w3 = corners.weight[3];
  if (step == 1) {
    for (size_t c = 0; c < count; c++)
      out[c] = RezoomBlend(p0[c], p1[c], p2[c], p3[c], w0, w1, w2, w3);
  } else {
    for (size_t c = 0; c < count; c++)
      out[c] = RezoomBlend(p0[c * step], p1[c * step], p2[c * step], p3[c * step], w0, w1, w2, w3);
  }
}

// target[c * step] += weight * gradient[c]
NODULE_CLONES void Scatter(float* __restrict target, size_t step, float weight,
                           const float* __restrict gradient, size_t count) {
  if (step == 1) {
    for (size_t c = 0; c < count; c++) target[c] += weight * gradient[c];
  } else {
    for (size_t c = 0; c < count; c++) target[c * step] += weight * gradient[c];
  }
}

// Sums over channels of gradient * d value / d position, for x and y; 16 partial sums let the loop
// use vectors.
NODULE_CLONES void Slopes(const float* __restrict image, const Corners& corners, float tx, float ty,
                          size_t step, const float* __restrict gradient, size_t count,
                          float* slope_x, float* slope_y) {
  const float *p0 = image + corners.at[0], *p1 = image + corners.at[1], *p2 = image + corners.at[2],
              *p3 = image + corners.at[3];
  float sum_x[kFloatLanes] = {}, sum_y[kFloatLanes] = {};
  const auto add = [&](size_t lane, size_t c) {
    const size_t i = c * step;
    sum_x[lane] += gradient[c] * RezoomSlopeX(p0[i], p1[i], p2[i], p3[i], ty);
    sum_y[lane] += gradient[c] * RezoomSlopeY(p0[i], p1[i], p2[i], p3[i], tx);
  };
  size_t c = 0;
  if (step == 1) {
    for (; c + kFloatLanes <= count; c += kFloatLanes)
      for (size_t lane = 0; lane < kFloatLanes; lane++) {
        const size_t i = c + lane;
        sum_x[lane] += gradient[i] * RezoomSlopeX(p0[i], p1[i], p2[i], p3[i], ty);
        sum_y[lane] += gradient[i] * RezoomSlopeY(p0[i], p1[i], p2[i], p3[i], tx);
      }
  }
  for (; c < count; c++) add(c % kFloatLanes, c);
  *slope_x = *slope_y = 0;
  for (size_t lane = 0; lane < kFloatLanes; lane++) {
    *slope_x += sum_x[lane];
    *slope_y += sum_y[lane];
  }
}

constexpr size_t kBoxesAtOnce = 8;
constexpr size_t kChannelsAtOnce = 64;

}  // namespace

void RezoomForwardCpu(const RezoomParams& p) {
  const Strides strides(p);
  const size_t samples = p.Samples();
  ParallelFor(p.BoxCount(), kBoxesAtOnce, [&](size_t begin, size_t end) {
    for (size_t b = begin; b < end; b++) {
      const float* image = p.features + b / p.boxes_per_image * strides.image;
      float* out = p.output + b * samples * p.channels;
      ForSamples(p, p.boxes + b * 4, [&](size_t index, const RezoomSample& s) {
        Blend(image, Corners(s, strides), strides.c, p.channels, out + index * p.channels);
      });
    }
  });
}

void RezoomGradientCpu(const RezoomParams& p) {
  const Strides strides(p);
  const size_t samples = p.Samples();
  // Features: each task owns some channels of one image, so no two write the same place and sums
  // keep their order.
  const size_t tasks_per_image = (p.channels + kChannelsAtOnce - 1) / kChannelsAtOnce;
  std::fill_n(p.gradient_features, p.FeatureCount(), 0.0f);
  ParallelFor(p.n * tasks_per_image, 1, [&](size_t begin, size_t end) {
    for (size_t task = begin; task < end; task++) {
      const size_t n = task / tasks_per_image;
      const size_t c = task % tasks_per_image * kChannelsAtOnce;
      const size_t count = std::min(kChannelsAtOnce, p.channels - c);
      float* image = p.gradient_features + n * strides.image + c * strides.c;
      for (size_t b = n * p.boxes_per_image; b < (n + 1) * p.boxes_per_image; b++) {
        const float* gradient = p.gradient + b * samples * p.channels + c;
        ForSamples(p, p.boxes + b * 4, [&](size_t index, const RezoomSample& s) {
          const Corners corners(s, strides);
          for (int k = 0; k < 4; k++)
            if (corners.weight[k] != 0)
              Scatter(image + corners.at[k], strides.c, corners.weight[k],
                      gradient + index * p.channels, count);
        });
      }
    }
  });
  ParallelFor(p.BoxCount(), kBoxesAtOnce, [&](size_t begin, size_t end) {
    for (size_t b = begin; b < end; b++) {
      const float* image = p.features + b / p.boxes_per_image * strides.image;
      const float* gradient = p.gradient + b * samples * p.channels;
      float sums[4] = {};
      ForSamples(p, p.boxes + b * 4, [&](size_t index, const RezoomSample& s) {
        if (!s.inside_x && !s.inside_y) return;
        float slope_x, slope_y;
        Slopes(image, Corners(s, strides), s.tx, s.ty, strides.c, gradient + index * p.channels,
               p.channels, &slope_x, &slope_y);
        if (s.inside_x) {
          sums[0] += slope_x;
          sums[2] += slope_x * p.offsets_x[index % p.offsets_x.size()];
        }
        if (s.inside_y) {
          sums[1] += slope_y;
          sums[3] += slope_y * p.offsets_y[index / p.offsets_x.size()];
        }
      });
      for (int k = 0; k < 4; k++) p.gradient_boxes[b * 4 + k] = sums[k] / p.stride;
    }
  });
}

}  // namespace nodule
