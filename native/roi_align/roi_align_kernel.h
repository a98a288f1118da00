// The arithmetic of one box and of one sample, shared by CPU and CUDA.
#pragma once

#include "common/host_device.h"

namespace nodule {

// A box in feature pixels, cut into bins, each sampled at grid_y * grid_x points.
struct RoiBox {
  float start_x, start_y, bin_width, bin_height;
  int grid_x, grid_y;
};

// Where one sample lies along an axis; valid is false beyond one pixel outside the image.
struct RoiPlace {
  int p0, p1;
  float t;
  bool valid;
};

NODULE_HD int RoiCeil(float value) {
  const int whole = static_cast<int>(value);
  return static_cast<float>(whole) < value ? whole + 1 : whole;
}

// box: x1, y1, x2, y2 in frame pixels. Lengths along x and y must be below 2^24 feature pixels.
NODULE_HD RoiBox RoiMakeBox(const float* box, float scale, bool aligned, int bins_x, int bins_y,
                            int sampling_ratio) {
  const float offset = aligned ? 0.5f : 0.0f;
  RoiBox r;
  r.start_x = box[0] * scale - offset;
  r.start_y = box[1] * scale - offset;
  float width = (box[2] * scale - offset) - r.start_x,
        height = (box[3] * scale - offset) - r.start_y;
  if (!aligned) {
    width = width > 1.0f ? width : 1.0f;
    height = height > 1.0f ? height : 1.0f;
  }
  r.bin_width = width / static_cast<float>(bins_x);
  r.bin_height = height / static_cast<float>(bins_y);
  r.grid_x = sampling_ratio > 0 ? sampling_ratio : RoiCeil(r.bin_width);
  r.grid_y = sampling_ratio > 0 ? sampling_ratio : RoiCeil(r.bin_height);
  return r;
}

NODULE_HD float RoiCoordinate(float start, float bin_size, int bin, int sample, int grid) {
  const float bin_start = start + static_cast<float>(bin) * bin_size;
  const float step = (static_cast<float>(sample) + 0.5f) * bin_size;
  return bin_start + step / static_cast<float>(grid);
}

NODULE_HD RoiPlace RoiLocate(float position, int size) {
  RoiPlace p = {0, 0, 0.0f, position >= -1.0f && position <= static_cast<float>(size)};
  if (!p.valid || !(position > 0.0f)) {
    p.p1 = size > 1 ? 1 : 0;
    return p;
  }
  p.p0 = static_cast<int>(position);
  if (p.p0 >= size - 1) {
    p.p0 = p.p1 = size - 1;
  } else {
    p.p1 = p.p0 + 1;
    p.t = position - static_cast<float>(p.p0);
  }
  return p;
}

// Samples of a bin: the mean is over these; an empty bin is 0.
NODULE_HD float RoiCount(const RoiBox& r) {
  const int count = r.grid_x * r.grid_y;
  return static_cast<float>(count > 1 ? count : 1);
}

}  // namespace nodule
