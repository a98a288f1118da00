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

/// Windows of more taps have no places.
constexpr int64_t kMostTaps = 255;

/// x [batch, in_height, in_width, channels] -> y [batch, out_height, out_width, channels]; places, null or like y: the tap of
/// the window (row by row) that holds the first maximum, kMostTaps where the window lies in the padding.
void MaxPool(const PoolShape& s, const float* x, float* y, uint8_t* places);
void AveragePool(const PoolShape& s, const float* x, float* y);
/// dx = gradient of x given dy, with the places that MaxPool found.
void MaxPoolGradient(const PoolShape& s, const uint8_t* places, const float* dy, float* dx);
/// Each output spreads dy / (number of inputs that it averaged). tfjs's own cpu and wasm kernels divide by the
/// whole filter instead, which is not the derivative of their forward pass at a padded border; TensorFlow agrees
/// with ours.
void AveragePoolGradient(const PoolShape& s, const float* dy, float* dx);

}  // namespace nodule::tensor
