// The first step of frames: stored values of one line -> HU as float32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/stream_store.h"
#include "hu/hu.h"

namespace nodule {

// How to convert voxels of one slice; as in HuParams.
struct LineRescale {
  float slope, intercept;
  int padding_low, padding_high;
  float clamp_low, clamp_high;
};

// Converts lines of one slice; what its voxels share is computed once.
class HuLines {
 public:
  HuLines(const HuParams& params, size_t slice);

  // Whole HU, as hu.h makes int16, of `count` stored values.
  void Convert(const void* in, float* out, size_t count) const { convert_(*this, in, out, count); }

  // For slope 1 and a whole intercept, in 16 bits: one vector of each.
  struct alignas(kCacheLine) Shift16 {
    int16_t flip[32], add[32], padding[32], span[32], air[32], low[32], high[32];
    bool has_padding;
  };

  const LineRescale& rescale() const { return rescale_; }
  const Shift16& shift() const { return shift_; }

 private:
  using Function = void (*)(const HuLines& lines, const void* in, float* out, size_t count);
  bool MakeShift16(Stored stored);

  LineRescale rescale_;
  Shift16 shift_;
  Function convert_;
};

}  // namespace nodule
