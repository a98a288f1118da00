// The arithmetic of one frame pixel, shared by CPU and CUDA.
#pragma once

#include "common/host_device.h"

namespace nodule {

// HU -> gray level 0..255: (hu - low) * scale, clamped, rounded half up.
NODULE_HD int FrameGray(float hu, float low, float scale) {
  const float level = (hu - low) * scale + 0.5f;
  return static_cast<int>(level > 0.0f ? (level < 255.0f ? level : 255.0f) : 0.0f);
}

// Gray level -> network input.
NODULE_HD float FrameInput(int gray, float factor, float offset) {
  const float scaled = static_cast<float>(gray) * factor;
  return scaled + offset;
}

}  // namespace nodule
