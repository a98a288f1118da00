// Depthwise convolutions of NHWC tensors, one filter a channel, and their gradients. Ours: over NHWC they are sums of
// products of contiguous channels, with nothing for oneDNN to reorder.
#pragma once

#include "convolution.h"

namespace nodule::tensor {

/// y [batch, out_height, out_width, c], x [batch, in_height, in_width, c], filter [filter_height, filter_width, c, 1];
/// c = in_channels = out_channels of the shape.
void DepthwiseForward(const ConvShape& s, const float* x, const float* filter, float* y);
/// dx like x given dy.
void DepthwiseBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx);
/// d_filter like the filter given x and dy. Summed in blocks of outputs that do not depend on the number of threads.
void DepthwiseBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* d_filter);

}  // namespace nodule::tensor
