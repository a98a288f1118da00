// The arithmetic of one frame pixel, shared by CPU and CUDA.
#pragma once

#include "common/host_device.h"

namespace nodule {

// The window is folded into the weights of x: level = bias + sum of weight * scale * HU, bias = 0.5
// - low * scale. Level -> gray 0..255: clamped, rounded half up by the 0.5 of the bias.
NODULE_HD int FrameGray(float level) {
  return static_cast<int>(level > 0.0f ? (level < 255.0f ? level : 255.0f) : 0.0f);
}

// Gray level -> network input.
NODULE_HD float FrameInput(int gray, float factor, float offset) {
  const float scaled = static_cast<float>(gray) * factor;
  return scaled + offset;
}

}  // namespace nodule
