// Stored CT values -> Hounsfield units, for all slices of a scan in one call.
//
//   value = float32(float32(stored * slope[s]) + intercept[s]), slope and intercept rounded to float32 before
//   stored values in [padding_low, padding_high] become -1000 HU (air)
//   then clamped to [clamp_low, clamp_high]
//   for int16 rounded to nearest, half away from zero
//
// Bit-exact on every device and equal to src/kernels/reference/hu.ts.
//
//   slices   slice_count pointers, each to `pixels` stored values of type `stored`; nothing is copied or joined
//   output   [slice_count, pixels], int16 (clamp within its range, whole numbers) or float32
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/device.h"

namespace nodule {

enum class Stored { kUint8, kInt16, kUint16 };

struct HuParams {
  Stored stored = Stored::kInt16;
  std::vector<const void*> slices;
  size_t pixels = 0;
  std::vector<float> slope;      // [slice_count]
  std::vector<float> intercept;  // [slice_count]
  int padding_low = 1;           // low > high: no padding
  int padding_high = 0;
  float clamp_low = -32768;
  float clamp_high = 32767;
  int16_t* output_int16 = nullptr;  // one of the two
  float* output_float = nullptr;
};

void HuConvertCpu(const HuParams& params);
void HuConvertCuda(const HuParams& params);

inline void HuConvert(const HuParams& params, Device device) {
#if defined(NODULE_WITH_CUDA)
  if (device == Device::kCuda) return HuConvertCuda(params);
#endif
  (void)device;
  HuConvertCpu(params);
}

}  // namespace nodule
