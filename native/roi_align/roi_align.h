// ROI align (He et al., Mask R-CNN) as torchvision computes it: each box is cut into bins, each bin
// is the mean of bilinear samples. Forward, and the gradient for the features.
//
//   box in feature pixels = box * scale - (aligned ? 0.5 : 0); not aligned: at least 1 x 1
//   sampling_ratio > 0: that many samples along each axis of a bin; 0: ceil(bin size) of them
//   a sample more than one pixel outside the image is 0; others are clamped to the image
//
//   features  [n, h, w, c] (nhwc) or [n, c, h, w], float32
//   boxes     [boxes, 4]: x1, y1, x2, y2 in frame pixels, finite
//   images    [boxes]: which image each box is of
//   output    [boxes, bins_y, bins_x, c] (nhwc) or [boxes, c, bins_y, bins_x]
//   gradient  like output; gradient_features like features (overwritten)
//
// Values agree within 1e-5 of the sum of the magnitudes that are added.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/device.h"

namespace nodule {

// Samples of a bin along one axis; more are refused.
constexpr int kMaxRoiGrid = 256;

struct RoiAlignParams {
  size_t n = 0, height = 0, width = 0, channels = 0, boxes = 0;
  size_t bins_x = 1, bins_y = 1;
  int sampling_ratio = 0;
  float scale = 1;
  bool aligned = true;
  bool nhwc = true;
  const float* features = nullptr;
  const float* box = nullptr;
  const int32_t* images = nullptr;
  float* output = nullptr;          // forward
  const float* gradient = nullptr;  // gradient
  float* gradient_features = nullptr;

  size_t FeatureCount() const { return n * height * width * channels; }
  size_t OutputCount() const { return boxes * bins_x * bins_y * channels; }
};

void RoiAlignForwardCpu(const RoiAlignParams& params);
void RoiAlignGradientCpu(const RoiAlignParams& params);
void RoiAlignForwardCuda(const RoiAlignParams& params);
void RoiAlignGradientCuda(const RoiAlignParams& params);

inline void RoiAlignForward(const RoiAlignParams& params, Device device) {
#if defined(NODULE_WITH_CUDA)
  if (device == Device::kCuda) return RoiAlignForwardCuda(params);
#endif
  (void)device;
  RoiAlignForwardCpu(params);
}

inline void RoiAlignGradient(const RoiAlignParams& params, Device device) {
#if defined(NODULE_WITH_CUDA)
  if (device == Device::kCuda) return RoiAlignGradientCuda(params);
#endif
  (void)device;
  RoiAlignGradientCpu(params);
}

}  // namespace nodule
