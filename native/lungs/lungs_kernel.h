// The arithmetic of one block of the coarse grid.
#pragma once

#include <cmath>

#include "common/host_device.h"

namespace nodule {

// The mean of a block, rounded to nearest, half up. A whole sum over a whole count: what lies below
// a half lies below it by more than a double's precision.
NODULE_HD int16_t BlockMean(int64_t sum, double count) {
  return static_cast<int16_t>(std::floor(static_cast<double>(sum) / count + 0.5));
}

// 0: no lung. Else side * 4 + kind.
constexpr uint8_t kSurface = 1;  // the voxels that are dark enough belong to the lung
constexpr uint8_t kWhole = 2;    // all of them do

// Which faces of a block have a neighbor.
struct Faces {
  bool x_low, x_high, y_low, y_high, z_low, z_high;
};

// Whether a block inside a closed lung is taken whole: filled by closing (no air), or all its
// neighbors are in the lung. At the ends of the scan (z) the lung goes on, at its sides it does not.
NODULE_HD bool IsWhole(const uint8_t* closed, const uint8_t* air, size_t nx, size_t plane,
                       const Faces& f) {
  if (*air != 1) return true;
  if (!(f.x_low && f.x_high && f.y_low && f.y_high)) return false;
  const uint8_t* c = closed;
  return *(c - 1) == 1 && *(c + 1) == 1 && *(c - nx) == 1 && *(c + nx) == 1 &&
         (!f.z_low || *(c - plane) == 1) && (!f.z_high || *(c + plane) == 1);
}

// Whether a block outside of the closed lungs touches air of a lung.
NODULE_HD bool TouchesAir(const uint8_t* air, size_t nx, size_t plane, const Faces& f) {
  return (f.x_low && *(air - 1) == 1) || (f.x_high && *(air + 1) == 1) ||
         (f.y_low && *(air - nx) == 1) || (f.y_high && *(air + nx) == 1) ||
         (f.z_low && *(air - plane) == 1) || (f.z_high && *(air + plane) == 1);
}

}  // namespace nodule
