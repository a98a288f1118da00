// The arithmetic of one voxel, shared by CPU and CUDA.
#pragma once

#include "common/host_device.h"

namespace nodule {

constexpr float kAirHu = -1000.0f;

// Clamps in float32, keeping -0; NaN cannot occur (slope and intercept are finite).
NODULE_HD float HuClamp(float value, float low, float high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}

// stored -> HU as float32: two roundings, never a fused multiply-add.
NODULE_HD float HuValue(int stored, float slope, float intercept, int padding_low, int padding_high,
                        float clamp_low, float clamp_high) {
  const float scaled = static_cast<float>(stored) * slope;
  const float value = scaled + intercept;
  const bool padding = (stored >= padding_low) & (stored <= padding_high);
  return HuClamp(padding ? kAirHu : value, clamp_low, clamp_high);
}

// Nearest integer, half away from zero. `value` lies in the range of int16, so that value -
// trunc(value) is exact.
NODULE_HD int HuRound(float value) {
  const int whole = static_cast<int>(value);
  const float rest = value - static_cast<float>(whole);
  return whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0);
}

}  // namespace nodule
