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
  std::vector<float>
      outside;  // [blocks, 16]: what is added: `outside` HU for outputs without taps, else 0

  // Inputs are positions of the image minus x.low. A line must be readable for 32 values past its
  // end.
  XPlan(const FrameTaps& x, float outside_hu);
};

// gray[i] for all outputs of one line; `gray` has room for blocks * 16.
void ResampleLine(const XPlan& plan, const float* line, float window_low, float window_scale,
                  uint8_t* gray);

}  // namespace nodule
