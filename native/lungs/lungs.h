// Lung extraction: what is hot in src/volume/lungs/lungs.ts. All grids are [z, y, x]. Equal to
// src/kernels/reference/lungs.ts and masks.ts in every bit; there is no CUDA version.
//
//   Shrink   HU -> the mean of each block of fz * fy * fx voxels, rounded to nearest, half up; the last block of an
//            axis may be cut off: [ceil(nz / fz), ceil(ny / fy), ceil(nx / fx)]
//   Dilate   1 where a voxel of the mask (== 1) lies within the ball around the voxel; `invert`: dilates what is not in
//            the mask instead, and 1 is what it leaves (an erosion). Beyond the grid is nothing.
//   Parts    connected voxels as runs along x, joined in 6 directions, or in 4 within the slices (`planar`)
//   Refine   lungs on the coarse grid -> mask at full resolution
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nodule {

struct Shape {
  size_t z = 0, y = 0, x = 0;
  size_t Voxels() const { return z * y * x; }
};

struct ShrinkParams {
  const int16_t* data = nullptr;
  Shape shape;
  Shape factors;  // 1 to 128
  int16_t* output = nullptr;
};

// A row of the ball: offset in z and y, half width in x >= 0; voxels.
struct BallRow {
  int64_t z, y, half;
};

struct DilateParams {
  const uint8_t* mask = nullptr;
  Shape shape;
  std::vector<BallRow> ball;
  bool invert = false;
  uint8_t* output = nullptr;  // 0 or 1
};

struct PartsParams {
  const uint8_t* mask = nullptr;  // one of the two
  const int16_t* image = nullptr;
  Shape shape;
  bool has_below = false;  // voxels < below belong to parts; else those that are 1
  int below = 0;
  bool planar = false;
};

struct Parts {
  std::vector<int32_t> starts, ends;  // runs in order, [start, end) in voxel indices
  std::vector<int32_t> labels;        // part of each run, from 1, in the order of the first voxels
  std::vector<int32_t> sizes;         // voxels of each part; [0] unused
};

struct RefineParams {
  const int16_t* data = nullptr;
  Shape shape;
  Shape factors;                                  // 1 to 128
  const uint8_t* closed[2] = {nullptr, nullptr};  // right and left lung, coarse; nullptr: none
  const uint8_t* air[2] = {nullptr, nullptr};     // the same before closing
  std::vector<int32_t> trachea;                   // voxels to leave out
  int surface_hu = 0;                             // below: lung
  uint8_t* mask = nullptr;                        // zeros before; 1 in the lungs
  uint8_t* sides = nullptr;                       // zeros before; 1 right, 2 left; or nullptr
  double* counts = nullptr;                       // [2] voxels of each lung
  int32_t* box = nullptr;                         // [6] z1, z2, y1, y2, x1, x2; zeros for none
};

inline Shape Blocks(const Shape& shape, const Shape& factors) {
  return {(shape.z + factors.z - 1) / factors.z, (shape.y + factors.y - 1) / factors.y,
          (shape.x + factors.x - 1) / factors.x};
}

void Shrink(const ShrinkParams& params);
void Dilate(const DilateParams& params);
Parts FindParts(const PartsParams& params);
void Refine(const RefineParams& params);

}  // namespace nodule
