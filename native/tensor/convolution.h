// Convolutions by oneDNN.
#pragma once

#include <cstdint>

namespace nodule::tensor {

/// A 2-D convolution of an NHWC image with an HWIO filter (tfjs's layouts).
struct ConvShape {
  int64_t batch, in_height, in_width, in_channels;
  int64_t out_height, out_width, out_channels;
  int64_t filter_height, filter_width;
  int64_t stride_height, stride_width, dilation_height, dilation_width;
  int64_t pad_top, pad_bottom, pad_left, pad_right;
};

/// Pixels of the output, of all images.
inline int64_t Pixels(const ConvShape& s) { return s.batch * s.out_height * s.out_width; }

/// What an operand of a convolution is.
enum class ConvRole { kImage, kOutput, kFilter };

/// Where the output that reads input position `in` with a tap lies on one axis; -1: there is none.
inline int64_t OutputOf(int64_t in, int64_t tap, int64_t pad, int64_t stride, int64_t dilation,
                        int64_t size) {
  const int64_t start = in + pad - tap * dilation;
  if (start < 0 || start % stride != 0) return -1;
  return start / stride < size ? start / stride : -1;
}

/// y [batch, out_height, out_width, out_channels] = x * filter.
void ConvForward(const ConvShape& s, const float* x, const float* filter, float* y);
/// dx [batch, in_height, in_width, in_channels] given dy.
void ConvBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx);
/// d_filter [filter_height, filter_width, in_channels, out_channels] given x and dy.
void ConvBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* d_filter);

}  // namespace nodule::tensor
