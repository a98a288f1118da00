// The pass along x: 16 outputs at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/lanes.h"
#include "frames/frames.h"

namespace nodule {

// The taps of x, cut into blocks of 16 outputs and turned, so that a vector holds one tap of 16
// outputs.
struct XPlan {
  // What one tap adds to each of 16 outputs: whole cache lines, because loads across two take twice as long.
  struct alignas(64) Tap {
    int32_t index[kFloatLanes];  // input, relative to the block's base
    float weight[kFloatLanes];
  };
  struct alignas(64) Block {
    float start[kFloatLanes];  // the bias, or the level of outputs outside the image
    int32_t base = 0;          // where the block's inputs start in the line
    bool narrow = true;        // all inputs lie within 32 of base
  };
  size_t count = 0;           // of the output that has most
  std::vector<Block> blocks;  // an even number; the last ones may lie past the last output
  std::vector<Tap> taps;      // [blocks, count]

  explicit XPlan(const FramesParams& params);
};

// Gray levels of `count` lines, each `pitch` floats after the one before, of HU at the columns from
// x.low on; a line must be readable for 32 values past its end. Line i goes to gray + i *
// gray_pitch, which has room for blocks * 16.
void ResampleLines(const XPlan& plan, const float* lines, size_t pitch, size_t count, uint8_t* gray,
                   size_t gray_pitch);

}  // namespace nodule
