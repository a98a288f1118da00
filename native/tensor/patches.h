// Convolutions of few pixels as one product.
#pragma once

#include "convolution.h"

namespace nodule::tensor {

/// Whether the functions below are the faster ones: so few pixels that a large filter costs more to bring into oneDNN's
/// layout than to multiply with.
bool IsPatchProduct(const ConvShape& s);

/// The windows of all outputs, a row each, times the filter as it is: [pixels, taps * in_channels] * [taps * in_channels,
/// out_channels]. Shapes as in convolution.h.
void PatchForward(const ConvShape& s, const float* x, const float* filter, float* y);
void PatchBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx);
void PatchBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* d_filter);

}  // namespace nodule::tensor
