// The pass along x: 16 outputs at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "frames/frames.h"

namespace nodule {

constexpr size_t kLanes = 16;

// The taps of x, cut into blocks of 16 outputs and turned, so that a vector holds one tap of 16
// outputs.
struct XPlan {
  size_t blocks = 0;
  size_t taps = 0;             // of the output that has most
  std::vector<int32_t> base;   // [blocks]: where the block's inputs start in the line
  std::vector<char> narrow;    // [blocks]: all inputs lie within 32 of base
  std::vector<int32_t> index;  // [blocks, taps, 16]: input, relative to base
  std::vector<float> weights;  // [blocks, taps, 16]
  std::vector<float> start;    // [blocks, 16]: the bias, or the level of outputs outside the image

  explicit XPlan(const FramesParams& params);
};

// Gray levels of `count` lines, each `pitch` floats after the one before, of HU at the columns from
// x.low on; a line must be readable for 32 values past its end. Line i goes to gray + i *
// gray_pitch, which has room for blocks * 16.
void ResampleLines(const XPlan& plan, const float* lines, size_t pitch, size_t count, uint8_t* gray,
                   size_t gray_pitch);

}  // namespace nodule
