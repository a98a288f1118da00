// Convolutions and matrix products by oneDNN. Primitives are created once per shape and thread count and kept.
#pragma once

#include <cstdint>
#include <string>

namespace nodule::tensor {

/// A 2-D convolution of an NHWC image with an HWIO filter (tfjs's layouts).
struct ConvShape {
  int64_t batch, in_height, in_width, in_channels;
  int64_t out_height, out_width, out_channels;
  int64_t filter_height, filter_width;
  int64_t stride_height, stride_width, dilation_height, dilation_width;
  int64_t pad_top, pad_bottom, pad_left, pad_right;
};

/// y [batch, out_height, out_width, out_channels] = x * filter (+ bias when not null).
void ConvForward(const ConvShape& s, const float* x, const float* filter, const float* bias,
                 float* y);
/// dx [batch, in_height, in_width, in_channels] given dy.
void ConvBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx);
/// d_filter [filter_height, filter_width, in_channels, out_channels] given x and dy.
void ConvBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* d_filter);

/// c [m, n] = op(a) * op(b), added to c when `accumulate`, row-major; a is [m, k], or [k, m] when transposed; b likewise.
void MatMul(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
            const float* b, float* c, bool accumulate);

/// Computes in bfloat16 inside convolutions and filters where the CPU does (inputs and outputs stay float32).
/// Returns whether it is on.
bool SetBfloat16(bool on);
bool Bfloat16();
bool HasBfloat16();

/// oneDNN's version and the instruction set that it chose, for people.
std::string OnednnVersion();
/// One line for every primitive created so far: kind, shape, implementation.
std::string DescribePrimitives();
/// Forgets all primitives.
void ClearPrimitives();

}  // namespace nodule::tensor
