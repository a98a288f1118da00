#include "patches.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "loops.h"
#include "matrix_product.h"
#include "onednn_plan.h"
#include "threads.h"

namespace nodule::tensor {
namespace {

int64_t PatchSize(const ConvShape& s) { return s.filter_height * s.filter_width * s.in_channels; }

// Not the arena, which the products use. Begins at a cache line.
float* PatchMemory(const ConvShape& s) {
  thread_local std::vector<float> memory;
  constexpr size_t kLine = 64;
  memory.resize(std::max(memory.size(), Pixels(s) * PatchSize(s) + kLine / sizeof(float)));
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  return reinterpret_cast<float*>((address + kLine - 1) / kLine * kLine);
}

// The window of an output pixel; zeros outside of the image.
void CopyPatch(const ConvShape& s, const float* x, int64_t pixel, float* to) {
  const int64_t n = pixel / (s.out_height * s.out_width);
  const int64_t top = pixel / s.out_width % s.out_height * s.stride_height - s.pad_top;
  const int64_t left = pixel % s.out_width * s.stride_width - s.pad_left;
  for (int64_t r = 0; r < s.filter_height; ++r)
    for (int64_t q = 0; q < s.filter_width; ++q, to += s.in_channels) {
      const int64_t row = top + r * s.dilation_height, column = left + q * s.dilation_width;
      if (row < 0 || row >= s.in_height || column < 0 || column >= s.in_width) {
        std::fill(to, to + s.in_channels, 0.0f);
        continue;
      }
      const float* from = x + ((n * s.in_height + row) * s.in_width + column) * s.in_channels;
      std::copy(from, from + s.in_channels, to);
    }
}

const float* Patches(const ConvShape& s, const float* x) {
  float* patches = PatchMemory(s);
  const int64_t size = PatchSize(s);
  ParallelFor(Pixels(s), std::max<int64_t>(1, kGrain / std::max<int64_t>(1, size)),
              [&](int64_t begin, int64_t end) {
                for (int64_t pixel = begin; pixel < end; ++pixel)
                  CopyPatch(s, x, pixel, patches + pixel * size);
              });
  return patches;
}

// The gradient of a pixel of the image: the sum over the windows that it is in.
void SumPatches(const ConvShape& s, const float* patches, int64_t pixel, float* dx) {
  const auto add = ActiveLoops().binary[static_cast<int>(BinaryOp::kAdd)][0];
  const int64_t n = pixel / (s.in_height * s.in_width);
  std::fill(dx, dx + s.in_channels, 0.0f);
  for (int64_t r = 0; r < s.filter_height; ++r) {
    const int64_t row = OutputOf(pixel / s.in_width % s.in_height, r, s.pad_top, s.stride_height,
                                 s.dilation_height, s.out_height);
    if (row < 0) continue;
    for (int64_t q = 0; q < s.filter_width; ++q) {
      const int64_t column = OutputOf(pixel % s.in_width, q, s.pad_left, s.stride_width,
                                      s.dilation_width, s.out_width);
      if (column < 0) continue;
      const int64_t output = (n * s.out_height + row) * s.out_width + column;
      add(dx, patches + output * PatchSize(s) + (r * s.filter_width + q) * s.in_channels, dx,
          s.in_channels);
    }
  }
}

}  // namespace

bool IsPatchProduct(const ConvShape& s) {
  constexpr int64_t kPixels = 128, kChannels = 16;
  return Pixels(s) <= kPixels && std::min(s.in_channels, s.out_channels) >= kChannels &&
         std::min(s.stride_height, s.stride_width) >= 1 && !Bfloat16();
}

void PatchForward(const ConvShape& s, const float* x, const float* filter, float* y) {
  MatMul(false, false, Pixels(s), s.out_channels, PatchSize(s), Patches(s, x), filter, y, false);
}

void PatchBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx) {
  float* patches = PatchMemory(s);
  MatMul(false, true, Pixels(s), PatchSize(s), s.out_channels, dy, filter, patches, false);
  ParallelFor(s.batch * s.in_height * s.in_width, std::max<int64_t>(1, kGrain / PatchSize(s)),
              [&](int64_t begin, int64_t end) {
                for (int64_t pixel = begin; pixel < end; ++pixel)
                  SumPatches(s, patches, pixel, dx + pixel * s.in_channels);
              });
}

void PatchBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* d_filter) {
  MatMul(true, false, PatchSize(s), s.out_channels, Pixels(s), Patches(s, x), dy, d_filter, false);
}

}  // namespace nodule::tensor
