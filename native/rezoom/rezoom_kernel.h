// The arithmetic of one sample, shared by CPU and CUDA.
#pragma once

#include "common/host_device.h"

namespace nodule {

// Four feature pixels and their weights. x1 == x0 (y1 == y0) at the last column (row).
struct RezoomSample {
  int x0, x1, y0, y1;
  float tx, ty;             // fractions towards x1 and y1
  bool inside_x, inside_y;  // not clamped: the sample moves with the box
};

// Where along one axis: position in feature pixels whose centers are whole numbers, clamped to [0,
// size - 1]. A NaN position reads pixel 0 with fraction NaN: it yields NaN, never a wrong address.
NODULE_HD void RezoomLocateAxis(float center, float extent, float offset, float stride, int size,
                                int* p0, int* p1, float* t, bool* inside) {
  const float moved = offset * extent;
  const float position = (center + moved) / stride;
  const float f = position - 0.5f;
  const float last = static_cast<float>(size - 1);
  *inside = f > 0.0f && f < last;
  const int cell = *inside ? static_cast<int>(f) : (f >= last ? size - 1 : 0);
  *p0 = cell;
  *p1 = cell + 1 < size ? cell + 1 : size - 1;
  *t = *inside ? f - static_cast<float>(cell) : (f == f ? 0.0f : f);
}

// box: cx, cy, w, h in frame pixels.
NODULE_HD RezoomSample RezoomLocate(const float* box, float offset_x, float offset_y, float stride,
                                    int height, int width) {
  RezoomSample s;
  RezoomLocateAxis(box[0], box[2], offset_x, stride, width, &s.x0, &s.x1, &s.tx, &s.inside_x);
  RezoomLocateAxis(box[1], box[3], offset_y, stride, height, &s.y0, &s.y1, &s.ty, &s.inside_y);
  return s;
}

NODULE_HD float RezoomBlend(float v00, float v01, float v10, float v11, float w00, float w01,
                            float w10, float w11) {
  return (w00 * v00 + w01 * v01) + (w10 * v10 + w11 * v11);
}

// Weights of the corners (y0,x0) (y0,x1) (y1,x0) (y1,x1).
NODULE_HD void RezoomWeights(const RezoomSample& s, float* w) {
  w[0] = (1.0f - s.ty) * (1.0f - s.tx);
  w[1] = (1.0f - s.ty) * s.tx;
  w[2] = s.ty * (1.0f - s.tx);
  w[3] = s.ty * s.tx;
}

// d value / d position along x and along y, in feature pixels.
NODULE_HD float RezoomSlopeX(float v00, float v01, float v10, float v11, float ty) {
  return (1.0f - ty) * (v01 - v00) + ty * (v11 - v10);
}
NODULE_HD float RezoomSlopeY(float v00, float v01, float v10, float v11, float tx) {
  return (1.0f - tx) * (v10 - v00) + tx * (v11 - v01);
}

}  // namespace nodule
