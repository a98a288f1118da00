// Rezoom: bilinear samples of a feature map at points that move with predicted boxes, and the gradient.
//
//   samples: every pair of offsets_y (outer) and offsets_x (inner), as fractions of the box's height and width
//   position in feature pixels, whose centers are whole numbers:
//     fx = (cx + offset_x * w) / stride - 0.5, clamped to [0, W - 1]; fy likewise with cy, h, H
//   A clamped coordinate gives no gradient to the box. A corner of weight 0 receives no feature gradient.
//
//   features  [n, h, w, c] (nhwc) or [n, c, h, w], float32
//   boxes     [n, boxes, 4]: cx, cy, w, h in frame pixels, absolute
//   output    [n, boxes, samples, c] in either layout
//   gradient  like output; gradient_features like features; gradient_boxes like boxes (both overwritten)
//
// Positions are bit-exact on every device; values agree within 1e-5 of the sum of the magnitudes that are added
// (the order of sums differs; on CUDA it also differs between runs for gradient_features).
#pragma once

#include <cstddef>
#include <vector>

#include "common/device.h"

namespace nodule {

struct RezoomParams {
  size_t n = 0, height = 0, width = 0, channels = 0, boxes_per_image = 0;
  bool nhwc = true;
  float stride = 1;
  std::vector<float> offsets_x, offsets_y;
  const float* features = nullptr;
  const float* boxes = nullptr;
  float* output = nullptr;          // forward
  const float* gradient = nullptr;  // gradient
  float* gradient_features = nullptr;
  float* gradient_boxes = nullptr;

  size_t Samples() const { return offsets_x.size() * offsets_y.size(); }
  size_t FeatureCount() const { return n * height * width * channels; }
  size_t BoxCount() const { return n * boxes_per_image; }
  size_t OutputCount() const { return BoxCount() * Samples() * channels; }
};

void RezoomForwardCpu(const RezoomParams& params);
void RezoomGradientCpu(const RezoomParams& params);
void RezoomForwardCuda(const RezoomParams& params);
void RezoomGradientCuda(const RezoomParams& params);

inline void RezoomForward(const RezoomParams& params, Device device) {
#if defined(NODULE_WITH_CUDA)
  if (device == Device::kCuda) return RezoomForwardCuda(params);
#endif
  (void)device;
  RezoomForwardCpu(params);
}

inline void RezoomGradient(const RezoomParams& params, Device device) {
#if defined(NODULE_WITH_CUDA)
  if (device == Device::kCuda) return RezoomGradientCuda(params);
#endif
  (void)device;
  RezoomGradientCpu(params);
}

}  // namespace nodule
