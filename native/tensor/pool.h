// Max and average pooling of NHWC tensors and their gradients. The padding never takes part: it neither wins a
// maximum nor counts in an average (TensorFlow's SAME).
#pragma once

#include <cstdint>

namespace nodule::tensor {

struct PoolShape {
  int64_t batch, in_height, in_width, channels, out_height, out_width;
  int64_t filter_height, filter_width, stride_height, stride_width, dilation_height, dilation_width;
  int64_t pad_top, pad_left;
};

/// x [batch, in_height, in_width, channels] -> y [batch, out_height, out_width, channels].
void MaxPool(const PoolShape& s, const float* x, float* y);
void AveragePool(const PoolShape& s, const float* x, float* y);
/// dx = gradient of x given dy; a tie goes to the first maximum of the window, row by row, as in tfjs.
void MaxPoolGradient(const PoolShape& s, const float* x, const float* dy, float* dx);
/// Each output spreads dy / (number of inputs that it averaged). tfjs's own cpu and wasm kernels divide by the
/// whole filter instead, which is not the derivative of their forward pass at a padded border; TensorFlow agrees
/// with ours.
void AveragePoolGradient(const PoolShape& s, const float* dy, float* dx);

}  // namespace nodule::tensor
