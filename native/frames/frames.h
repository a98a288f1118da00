// Slices -> network input in one pass: HU, crop and resize into the frame, window to gray levels, neighbours as
// channels.
//
//   1. HU as hu.h makes int16 (slope 1 and intercept 0 for a volume that is HU already)
//   2. resample by weights ("taps") along y, then along x, sums in float32; where a frame pixel's center lies outside
//      the image: `outside` HU. The weights are src/dataset/resample.ts's (bilinear, antialiased when shrinking).
//   3. gray = (HU - low) * scale, clamped to 0..255, rounded half up; low and scale are folded into the weights of x
//   4. uint8: gray; float32: gray * factor + offset
//
//   hu         slices, rescale and padding; [rows, columns] each
//   x, y       taps of the frame's columns and rows
//   sources    [frames, channels]: which slice is which channel of which frame
//   output     [frames, channels, height, width] (nchw) or [frames, height, width, channels]
//
// Within one gray level of the TypeScript reference, which sums in float64 (and only where a sum falls on the edge
// between two levels); the same operations in the same order on CPU and CUDA.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/device.h"
#include "hu/hu.h"

namespace nodule {

// Output u is the sum over n < count[u] of weights[u * width + n] * input[first[u] + n]; first[u] < 0: outside.
struct FrameTaps {
  size_t size = 0;   // outputs
  size_t width = 0;  // room for weights of an output
  std::vector<int32_t> first, count;
  std::vector<float> weights;
  size_t low = 0, high = 0;  // half-open range of inputs that any output uses
};

struct FramesParams {
  HuParams hu;  // its outputs are not used
  size_t rows = 0, columns = 0;
  FrameTaps x, y;                // weights of x times the window's scale
  std::vector<int32_t> sources;  // [frames, channels]
  size_t frames = 0, channels = 1;
  bool nchw = true;
  float bias = 0.5f;        // 0.5 - low * scale
  float outside_level = 0;  // level of `outside` HU: bias + outside * scale
  float factor = 1, offset = 0;
  uint8_t* output_uint8 = nullptr;  // one of the two
  float* output_float = nullptr;
};

void RenderFramesCpu(const FramesParams& params);
void RenderFramesCuda(const FramesParams& params);

inline void RenderFrames(const FramesParams& params, Device device) {
#if defined(NODULE_WITH_CUDA)
  if (device == Device::kCuda) return RenderFramesCuda(params);
#endif
  (void)device;
  RenderFramesCpu(params);
}

}  // namespace nodule
